//! What can come out of every check.

checks! {
    ANY = "any",
        "What can come out of every check: no check waits for ever.",
        "どの検査でも起こりうる結果。待ち続ける検査はありません。" => {
        ANY_LATE = Failure,
            "no answer within {seconds} s",
            "{seconds} 秒以内に応答がありません"
            => "Something that is looked at does not answer: a disk, a driver or a resolver. See the kernel's log.",
            "ディスク、ドライバー、名前解決などが応答していません。カーネルのログを確認してください。",
            "dmesg --level=err,warn";
        ANY_BROKEN = Failure,
            "the check itself failed: {cause}",
            "検査自体が失敗しました: {cause}"
            => "This is a fault of doctor: report it with this line.",
            "doctor の不具合です。この行を添えて報告してください。", "";
        ANY_OTHER_USER = Skipped,
            "the program runs as user {user}: run doctor as that user or as root",
            "プログラムは利用者 {user} として動いています。その利用者か root で doctor を実行してください";
        ANY_UNREADABLE = Skipped,
            "cannot be told here: {cause}",
            "ここでは判断できません: {cause}";
    }
}
