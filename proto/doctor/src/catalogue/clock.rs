//! Checks of this host's clocks.

checks! {
    CLOCK_WALL = "clock-wall",
        "The wall clock is not before anything that is known to have happened: certificates, tags and policies count on it.",
        "壁時計が、既に起きたと分かっている時刻より前でないこと。証明書、タグ、ポリシーはこの時計を使います。" => {
        WALL_SOUND = Ok,
            "{now}, later than {bound} ({what})",
            "{now}。{bound} ({what}) より後です";
        WALL_BEHIND = Failure,
            "{now}, but it was {bound} already ({what})",
            "{now} ですが、既に {bound} ({what}) を過ぎているはずです"
            => "Set the clock. Until then certificates and tags are judged by a wrong time.",
            "時計を合わせてください。それまで証明書とタグは誤った時刻で判定されます。",
            "timedatectl set-ntp true";
    }
    CLOCK_SYNC = "clock-sync",
        "The kernel says that a time service keeps the wall clock right, and how far it may be off.",
        "時刻サービスが壁時計を合わせているか、誤差の上限はいくらかをカーネルに尋ねます。" => {
        CLOCK_SYNCED = Ok,
            "synchronised, at most {maxerror} off ({service})",
            "同期済み。誤差は最大 {maxerror} ({service})";
        CLOCK_LOOSE_BY = Warning,
            "synchronised, but it may be {maxerror} off ({service})",
            "同期済みですが、誤差が最大 {maxerror} あります ({service})"
            => "The time sources are far away or silent. See which ones answer.",
            "時刻源が遠いか応答していません。応答している時刻源を確認してください。",
            "chronyc sources || timedatectl timesync-status";
        CLOCK_UNSYNCED = Warning,
            "not synchronised ({service}): it drifts by up to 4 s a day",
            "同期していません ({service})。1日に最大4秒ずれます"
            => "Run a time service: chrony, or systemd-timesyncd.",
            "chrony または systemd-timesyncd を動かしてください。",
            "timedatectl set-ntp true";
    }
    CLOCK_BOOT = "clock-boot",
        "The clock that leases count on runs and was not held up by a suspend: a host that sleeps loses its jobs (P4).",
        "リースが使う時計が進んでいて、サスペンドで止まっていないこと。眠るホストはジョブを失います (P4)。" => {
        BOOT_RUNS = Ok,
            "runs, {uptime} since boot",
            "進んでいます。起動から {uptime}";
        BOOT_STANDS = Failure,
            "CLOCK_BOOTTIME does not move",
            "CLOCK_BOOTTIME が進みません"
            => "No lease can be kept on this machine. See its hypervisor and its kernel's clock source.",
            "この機械ではリースを守れません。ハイパーバイザーとクロックソースを確認してください。",
            "cat /sys/devices/system/clocksource/clocksource0/current_clocksource";
        BOOT_SUSPENDED = Warning,
            "runs, {uptime} since boot, {suspended} of them suspended",
            "進んでいます。起動から {uptime}、うち {suspended} はサスペンド"
            => "A host that is suspended misses its lease and its jobs are killed. Forbid it.",
            "サスペンドするとリースが切れ、ジョブは終了させられます。禁止してください。",
            "systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target";
    }
    CLOCK_MEMBERS = "clock-members",
        "This host's clock against the members': a controller signs nothing while the state's clock is more than 5 s ahead of its own or 15 s behind.",
        "この機械の時計と各メンバーの時計の差。状態の時計が自分より5秒以上進むか15秒以上遅れると、コントローラーは署名しません。" => {
        MEMBERS_AGREE = Ok,
            "{count} members' clocks are between {least} s and {most} s from this one",
            "{count} メンバーの時計との差は {least} 秒から {most} 秒です";
        MEMBER_CLOCK_AHEAD = Failure,
            "{member}'s clock is {seconds} s ahead of this one, {bound} s are allowed",
            "{member} の時計が {seconds} 秒進んでいます。許容は {bound} 秒です"
            => "Set whichever of the two is wrong; compare with a third clock.",
            "第三の時計と比べ、誤っている方を合わせてください。", "timedatectl status";
        MEMBER_CLOCK_BEHIND = Failure,
            "{member}'s clock is {seconds} s behind this one, {bound} s are allowed",
            "{member} の時計が {seconds} 秒遅れています。許容は {bound} 秒です"
            => "Set whichever of the two is wrong; compare with a third clock.",
            "第三の時計と比べ、誤っている方を合わせてください。", "timedatectl status";
        MEMBERS_UNHEARD = Skipped,
            "no member told its time",
            "時刻を答えたメンバーがありません";
    }
}
