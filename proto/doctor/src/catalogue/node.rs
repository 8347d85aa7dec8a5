//! Checks that only an agent makes.

checks! {
    AREA = "area",
        "Where the settings say that the host stands: inside Japan, or nothing runs here (D2).",
        "設定が示すホストの所在。日本国内でなければ何も動きません (D2)。" => {
        AREA_INSIDE = Ok,
            "{area}",
            "{area}";
        AREA_ABROAD = Failure,
            "{area} is not in Japan",
            "{area} は日本国内ではありません"
            => "Nothing outside Japan is ever placed. If the setting is wrong, correct it.",
            "日本国外には配置できません。設定の誤りなら直してください。", "";
    }
    ENROLMENT = "enrolment",
        "What joining gave the host: readable by its user alone, whole, and of the node in the settings.",
        "参加で得たもの。利用者だけが読め、壊れておらず、設定のノードのものであること。" => {
        ENROLMENT_SOUND = Ok,
            "node {node} of {operator}, {members} members, endorser bundle version {version}",
            "{operator} のノード {node}、メンバー {members}、承認者束の版 {version}";
        ENROLMENT_NONE = Warning,
            "this host has not joined: {path} is not there",
            "このホストは参加していません: {path} がありません"
            => "Join with a token that your company's administrator makes.",
            "事業者の管理者が作るトークンで参加してください。",
            "sekisho-agent join --token-file FILE --config FILE";
        ENROLMENT_DAMAGED = Failure,
            "{cause}",
            "{cause}"
            => "Revoke the node, empty its data directory and let it join anew.",
            "ノードを取り消し、データディレクトリを空にして参加し直してください。", "sekisho node revoke NODE";
        ENROLMENT_SHOWN = Failure,
            "{path}: mode {mode}, so that others can read the host's key",
            "{path}: モード {mode}。他人がホストの鍵を読めます"
            => "Take that away. If anybody else can log in here, revoke the node and join anew: its key is known.",
            "読み取りを禁じてください。他人がログインできるなら鍵は知られています。取り消して参加し直してください。",
            "chmod 600 {path}";
        ENROLMENT_STRANGE = Failure,
            "the host has joined as {node}, the settings say {expected}",
            "{node} として参加済みですが、設定は {expected} です"
            => "Correct `node` in the settings, or bring the right data directory.",
            "設定の `node` を直すか、正しいデータディレクトリを置いてください。", "";
    }
    LEDGER = "ledger",
        "What the agent wrote down before it acted (P2): there, whole, of this node; looked at and not changed.",
        "行動の前に書いた台帳 (P2)。存在し、壊れておらず、このノードのものか。読むだけで変えません。" => {
        LEDGER_SOUND = Ok,
            "{entries} grants, {open} of them may run, floor {floor}, {bytes}",
            "許可 {entries} 件、うち実行中の可能性 {open} 件、下限 {floor}、{bytes}";
        LEDGER_NONE = Skipped,
            "a host that has not joined has none",
            "参加していないホストにはありません";
        LEDGER_BAD = Failure,
            "{cause}",
            "{cause}"
            => "Nothing is started or reported. Revoke the node, empty its data directory and let it join anew; never copy a ledger.",
            "何も開始も報告もされません。取り消し、データを空にして参加し直してください。台帳の複製は禁物です。",
            "sekisho node revoke NODE";
    }
    TAG = "site-tag",
        "The operator's signed word of where the host stands (T1): signed under the pinned bundle, in force, for how long.",
        "ホストの所在についての事業者の署名 (T1)。固定された束で検証でき、有効で、いつまでか。" => {
        TAG_SOUND = Ok,
            "{area}, until {until}: {left} left",
            "{area}、{until} まで。残り {left}";
        TAG_ENDS = Warning,
            "{area} ends at {until}: {left} left, a renewal is overdue",
            "{area} は {until} に切れます。残り {left}。更新が遅れています"
            => "The agent renews it with its certificate while it runs and reaches a member with an issuer.",
            "エージェントは稼働中に発行者を持つメンバーに届けば証明書と共に更新します。",
            "journalctl --unit sekisho-agent --grep 'not renewed'";
        TAG_REFUSED = Failure,
            "{cause}",
            "{cause}"
            => "Nothing may start here. Let the agent renew; if its certificate has ended too, join anew with a new token.",
            "ここでは何も開始できません。エージェントに更新させ、証明書も切れたなら新しいトークンで参加し直してください。",
            "journalctl --unit sekisho-agent --lines 50";
        TAG_NONE = Skipped,
            "a host that has not joined has none",
            "参加していないホストにはありません";
    }
    RUNTIME_DIR = "runtime-dir",
        "The directory of the placements can be written to, and programs that jobs bring can be run there.",
        "配置のディレクトリに書き込め、ジョブが持ち込むプログラムを実行できること。" => {
        RUNTIME_DIR_SOUND = Ok,
            "{path}: programs can be run there",
            "{path}: プログラムを実行できます";
        RUNTIME_DIR_NOEXEC = Failure,
            "{path} is mounted {flag}",
            "{path} は {flag} でマウントされています"
            => "Mount its file system without that option: a job's own directory is in there.",
            "そのオプションなしでマウントしてください。ジョブのディレクトリがここにあります。", "findmnt --target {path}";
    }
    OUTPUT_SPACE = "output-space",
        "Room for the output of the jobs: each keeps up to 128 MiB until it is forgotten.",
        "ジョブの出力の置き場。忘れられるまで1件につき 128 MiB まで保持します。" => {
        OUTPUT_ENOUGH = Ok,
            "{path}: {held} held, {free} free, {wanted} may come",
            "{path}: 保持 {held}、空き {free}、追加の見込み {wanted}";
        OUTPUT_LOW = Warning,
            "{path}: {held} held, {free} free, but {wanted} may come",
            "{path}: 保持 {held}、空き {free} に対し、追加の見込み {wanted}"
            => "A full disk stops the agent, too. Make room, or give the placements a file system of their own.",
            "ディスクが一杯になるとエージェントも止まります。空けるか、専用のファイルシステムにしてください。",
            "du --summarize {path}";
    }
    NAMESPACES = "namespaces",
        "A job's PID namespace can be made here, as the runtime makes it: without one no job is started (P6).",
        "ジョブの PID 名前空間を、実行系と同じ方法で作れるか。なければジョブは開始されません (P6)。" => {
        NAMESPACES_DIRECT = Ok,
            "made directly ({facts})",
            "直接作れます ({facts})";
        NAMESPACES_USER = Ok,
            "made inside a user namespace ({facts})",
            "ユーザー名前空間の中で作れます ({facts})";
        NAMESPACES_NONE = Failure,
            "cannot be made: {cause} ({facts})",
            "作れません: {cause} ({facts})"
            => "Run the agent as root, or allow user namespaces: user.max_user_namespaces > 0, and no seccomp or AppArmor rule against unshare.",
            "エージェントを root で動かすか、ユーザー名前空間を許可してください: user.max_user_namespaces > 0、unshare を禁じる seccomp や AppArmor の規則を外す。",
            "sysctl user.max_user_namespaces kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns";
        NAMESPACES_RUN_AS = Failure,
            "`run_as` needs an agent that is root; only user namespaces can be made here",
            "`run_as` には root のエージェントが必要です。ここではユーザー名前空間しか作れません"
            => "Run the agent as root, or leave `run_as` out.",
            "エージェントを root で動かすか、`run_as` を外してください。", "";
    }
    SECCOMP = "seccomp",
        "The kernel can filter the system calls of a job.",
        "カーネルがジョブのシステムコールを絞れるか。" => {
        SECCOMP_SOUND = Ok,
            "filters can be set: {actions}",
            "フィルターを設定できます: {actions}";
        SECCOMP_NONE = Warning,
            "this kernel has no seccomp filters",
            "このカーネルには seccomp フィルターがありません"
            => "Take a kernel with CONFIG_SECCOMP_FILTER: jobs are confined by less without it.",
            "CONFIG_SECCOMP_FILTER のあるカーネルを使ってください。ないとジョブの囲いが弱くなります。", "";
    }
    CGROUPS = "cgroups",
        "Where the limits of a job can be set: the version, the controllers, and whether the agent may make groups.",
        "ジョブの上限を設定できるか。版、コントローラー、エージェントがグループを作れるか。" => {
        CGROUPS_SOUND = Ok,
            "version {version}: {controllers}; groups can be made below {path}",
            "版 {version}: {controllers}。{path} の下にグループを作れます";
        CGROUPS_CLOSED = Warning,
            "version {version}: {controllers}; no groups can be made below {path}",
            "版 {version}: {controllers}。{path} の下にグループを作れません"
            => "Run the agent by its unit, which has Delegate=yes, or as root.",
            "Delegate=yes のあるユニットか root でエージェントを動かしてください。",
            "systemctl show sekisho-agent --property Delegate,ControlGroup";
        CGROUPS_LACKING = Warning,
            "version {version}: {controllers}; {missing} missing",
            "版 {version}: {controllers}。{missing} がありません"
            => "Turn them on at boot: jobs have no limit for what is missing.",
            "起動時に有効にしてください。ないものについてジョブに上限がかかりません。", "cat /proc/cgroups";
        CGROUPS_NONE = Warning,
            "this host has none",
            "このホストにはありません"
            => "Mount cgroup2 at /sys/fs/cgroup: jobs have no limits without.",
            "/sys/fs/cgroup に cgroup2 をマウントしてください。ないとジョブに上限がかかりません。",
            "mount -t cgroup2 none /sys/fs/cgroup";
    }
    DEVICES = "devices",
        "What the settings offer: driver, each device, whether it is well, can be opened, and is held by somebody.",
        "設定が提供するもの。ドライバー、各デバイスの健全性、開けるか、誰かが使っているか。" => {
        DEVICES_SOUND = Ok,
            "{count} {kind}: {classes}; {held} held",
            "{kind} {count} 台: {classes}。使用中 {held}";
        DEVICES_NONE = Warning,
            "no driver on this host: {cause}",
            "このホストにドライバーがありません: {cause}"
            => "The agent runs, and offers nothing. Install the NVIDIA driver, or see that its modules are loaded.",
            "エージェントは動きますが何も提供しません。NVIDIA ドライバーを入れるか、モジュールを確認してください。", "nvidia-smi";
        DEVICES_EMPTY = Warning,
            "the driver runs and shows no device",
            "ドライバーは動いていますが、デバイスがありません"
            => "See that the cards are seated and bound to the driver.",
            "カードの装着とドライバーへの割り当てを確認してください。", "lspci -nnk -d 10de:";
        DEVICES_FAILED = Failure,
            "{cause}",
            "{cause}"
            => "The agent does not start while the driver fails. See the kernel's log.",
            "ドライバーが失敗する間、エージェントは起動しません。カーネルのログを確認してください。",
            "dmesg --level=err,warn | grep -i -e nvidia -e nvrm";
        DEVICES_CONTRADICT = Failure,
            "{cause}",
            "{cause}"
            => "Name in `shared_devices` of the settings only devices that are not in MIG instances.",
            "設定の `shared_devices` には、MIG分割されていないデバイスだけを指定してください。", "nvidia-smi -L";
        DEVICE_NOT_HERE = Warning,
            "{cause}",
            "{cause}"
            => "Correct `shared_devices` of the settings, or see why the device is gone.",
            "設定の `shared_devices` を修正するか、デバイスが見えない原因を確認してください。", "nvidia-smi -L";
        DEVICE_SICK = Warning,
            "{device} is not offered: {cause}",
            "{device} は提供されません: {cause}"
            => "Empty the node, then reset or replace the device.",
            "ノードを空にしてから、リセットまたは交換してください。", "sekisho node cordon NODE";
        DEVICE_CLOSED = Failure,
            "{path} cannot be opened: {cause}",
            "{path} を開けません: {cause}"
            => "Jobs cannot use the driver. See owner and mode, and DeviceAllow= of the unit.",
            "ジョブがドライバーを使えません。所有者とモード、ユニットの DeviceAllow= を確認してください。", "ls -l {path}";
        DEVICE_DIRTY = Warning,
            "{device} is held, and no agent runs here",
            "{device} が使われていますが、エージェントは動いていません"
            => "The agent will not offer it until it is free. See who holds it.",
            "空くまで提供されません。何が使っているか確認してください。", "nvidia-smi --query-compute-apps=pid,name --format=csv || cat /proc/locks";
    }
    TRACES = "traces",
        "Simulated devices keep traces of who held them: no two at one time (P1).",
        "模擬デバイスの使用記録。同時に二者が使っていないこと (P1)。" => {
        TRACES_SOUND = Ok,
            "no device had two holders",
            "同時に二者が使ったデバイスはありません";
        TRACES_OVERLAP = Failure,
            "{device} was held by {holder} and {intruder} at one time",
            "{device} を {holder} と {intruder} が同時に使いました"
            => "This must not happen (P1): keep the directory and report it.",
            "あってはならないことです (P1)。ディレクトリを保存し報告してください。", "";
        TRACES_BAD = Warning,
            "nothing is proven: {cause}",
            "何も証明できません: {cause}"
            => "The files of the simulation are damaged; they begin anew with an empty directory.",
            "模擬デバイスのファイルが壊れています。空のディレクトリでやり直せます。", "";
        TRACES_NONE = Skipped,
            "there are none",
            "ありません";
    }
    WATCHDOG = "watchdog",
        "The watchdog runs beside the agent, and is the same program: it stops jobs when the agent cannot (P4).",
        "エージェントの隣で番犬が、同じプログラムとして動いていること。エージェントの代わりにジョブを止めます (P4)。" => {
        WATCHDOG_RUNS = Ok,
            "runs as process {pid}",
            "プロセス {pid} として動いています";
        WATCHDOG_NONE = Failure,
            "the agent runs (process {agent}), but no watchdog does",
            "エージェント (プロセス {agent}) は動いていますが、番犬が動いていません"
            => "Start it: until then a frozen agent's jobs end by their shims alone.",
            "起動してください。それまで、止まったエージェントのジョブを終わらせるのは shim だけです。",
            "systemctl enable --now sekisho-watchdog";
        WATCHDOG_IDLE = Warning,
            "does not run, and neither does the agent",
            "動いていません。エージェントも動いていません"
            => "Enable both services.",
            "両方のサービスを有効にしてください。", "systemctl enable --now sekisho-watchdog sekisho-agent";
        WATCHDOG_OLD = Warning,
            "process {pid} runs another program file than this one",
            "プロセス {pid} はこれと別のプログラムファイルで動いています"
            => "It was replaced since: restart it. No job ends by that.",
            "その後に置き換えられました。再起動してください。ジョブは終わりません。",
            "systemctl restart sekisho-watchdog";
    }
}
