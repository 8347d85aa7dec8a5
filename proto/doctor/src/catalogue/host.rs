//! Checks of the host that both programs make.

checks! {
    SETTINGS = "settings",
        "The settings file is read as the program reads it, and where its paths lead.",
        "設定ファイルがプログラムと同じ方法で読めるか、パスがどこを指すか。" => {
        SETTINGS_READ = Ok,
            "{file}: {paths}",
            "{file}: {paths}";
        SETTINGS_REFUSED = Failure,
            "{cause}",
            "{cause}"
            => "Correct the settings file; docs/runbooks/install.md has an example. Nothing else can be looked at until then.",
            "設定ファイルを直してください。例は docs/runbooks/install.md にあります。それまで他の検査はできません。", "";
        PATH_MISSING = Failure,
            "{what}: {path} is not there",
            "{what}: {path} がありません"
            => "Put the file there, or correct the settings.",
            "ファイルを置くか、設定を直してください。", "ls -l {path}";
    }
    RUNNING = "running",
        "Whether the program runs (its lock is held), and whether it is the program file that is installed now.",
        "プログラムが動いているか (ロックの保持で判断)、いま入っているプログラムファイルと同じか。" => {
        RUNNING_YES = Ok,
            "runs as process {pid}",
            "プロセス {pid} として動いています";
        RUNNING_NO = Ok,
            "does not run",
            "動いていません";
        RUNNING_OLD = Warning,
            "process {pid} runs another program file than this one",
            "プロセス {pid} はこれと別のプログラムファイルで動いています"
            => "It was replaced since, or is installed twice. Restart the service to run what is installed.",
            "その後に置き換えられたか、二重に入っています。サービスを再起動してください。",
            "ls -l /proc/{pid}/exe";
        RUNNING_HIDDEN = Skipped,
            "runs as process {pid}, of another user: run doctor as that user or as root to see more",
            "別の利用者のプロセス {pid} として動いています。詳しくはその利用者か root で doctor を実行してください";
    }
    DATA_DIR = "data-dir",
        "The data directory is there, belongs to who runs the program, and nobody else can write to it.",
        "データディレクトリがあり、実行する利用者のもので、他人が書き込めないこと。" => {
        DATA_DIR_SOUND = Ok,
            "{path}: owner {owner}, mode {mode}",
            "{path}: 所有者 {owner}、モード {mode}";
        DATA_DIR_MISSING = Warning,
            "{path} is not there",
            "{path} がありません"
            => "The first start makes it. If this host was in use before, its disk is not mounted: mount it and start nothing until then.",
            "最初の起動で作られます。使用済みのホストならディスクが未接続です。接続するまで何も起動しないでください。",
            "findmnt --target {path}";
        DATA_DIR_FILE = Failure,
            "{path} is no directory",
            "{path} はディレクトリではありません"
            => "Name a directory in the settings.",
            "設定にディレクトリを指定してください。", "ls -ld {path}";
        DATA_DIR_OPEN = Failure,
            "{path}: mode {mode}, so that others can write to it",
            "{path}: モード {mode}。他人が書き込めます"
            => "Take that away; then see who has written to it.",
            "書き込みを禁じ、誰が書き込んだかを確認してください。", "chmod go-w {path}";
        DATA_DIR_SHOWN = Warning,
            "{path}: mode {mode}, so that others can list it",
            "{path}: モード {mode}。他人が一覧できます"
            => "What jobs run is in there: keep it to the program's user.",
            "ジョブの内容が入っています。プログラムの利用者だけに限ってください。", "chmod go-rwx {path}";
        DATA_DIR_FOREIGN = Failure,
            "{path} belongs to {owner}, the program runs as {user}",
            "{path} は {owner} のもので、プログラムは {user} として動いています"
            => "Give it to the user that the program runs as.",
            "プログラムを実行する利用者に渡してください。", "chown -R {user}: {path}";
        DATA_DIR_HIDDEN = Skipped,
            "{path} cannot be looked into as user {user}: run doctor as the program's user or as root",
            "{path} は利用者 {user} では調べられません。プログラムの利用者か root で doctor を実行してください";
    }
    DATA_FS = "data-fs",
        "The file system of the data directory keeps what was synced: through a restart, and without asking another machine.",
        "データディレクトリのファイルシステムが、同期した内容を再起動後も他の機械に頼らず保つこと。" => {
        FS_SOUND = Ok,
            "{kind}, mounted at {mount}",
            "{kind}、マウント先 {mount}";
        FS_MEMORY = Failure,
            "{kind} at {mount}: everything is gone with the next boot",
            "{mount} の {kind}: 次の起動ですべて消えます"
            => "Put the data directory on a disk. A host that forgets is refused afterwards.",
            "データディレクトリをディスクに置いてください。忘れたホストはその後拒否されます。", "findmnt --target {mount}";
        FS_LAYER = Warning,
            "{kind} at {mount}: it goes with its container",
            "{mount} の {kind}: コンテナと共に消えます"
            => "Mount a volume for the data directory.",
            "データディレクトリ用のボリュームをマウントしてください。", "findmnt --target {mount}";
        FS_NETWORK = Warning,
            "{kind} at {mount}: locks and syncs are another machine's word",
            "{mount} の {kind}: ロックと同期が他の機械の言葉次第です"
            => "Put the data directory on a local disk.",
            "データディレクトリをローカルディスクに置いてください。", "findmnt --target {mount}";
        FS_READ_ONLY = Failure,
            "{kind} at {mount} is mounted read-only",
            "{mount} の {kind} は読み取り専用です"
            => "The kernel remounts a file system so after an error: see its log before writing to it again.",
            "エラー後にカーネルが読み取り専用にすることがあります。書き込む前にログを確認してください。",
            "dmesg --level=err,warn";
    }
    DATA_SPACE = "data-space",
        "Room for bytes and for files where the data lies.",
        "データのある場所の空き容量と空き inode。" => {
        SPACE_ENOUGH = Ok,
            "{path}: {free} of {size} free ({percent} %), {inodes} files more",
            "{path}: {size} 中 {free} 空き ({percent} %)、ファイルはあと {inodes} 個";
        SPACE_LOW = Warning,
            "{path}: {free} of {size} free ({percent} %), {inodes} files more",
            "{path}: {size} 中 {free} 空き ({percent} %)、ファイルはあと {inodes} 個"
            => "Make room or a larger disk before it is full.",
            "一杯になる前に空けるか、ディスクを大きくしてください。", "du --one-file-system --max-depth=2 {path} | sort -n | tail";
        SPACE_OUT_OF = Failure,
            "{path}: {free} of {size} free ({percent} %), {inodes} files more: the next write may fail",
            "{path}: {size} 中 {free} 空き ({percent} %)、ファイルはあと {inodes} 個。次の書き込みに失敗しうる状態です"
            => "Make room now: a program that cannot write stops.",
            "すぐに空けてください。書き込めないプログラムは停止します。", "du --one-file-system --max-depth=2 {path} | sort -n | tail";
    }
    DATA_SYNC = "data-sync",
        "Synced writes work, and how long they take: each commit of a controller and each start of a job waits for one.",
        "同期書き込みができるか、どれだけかかるか。コントローラーの確定もジョブの開始もこれを待ちます。" => {
        SYNC_FAST = Ok,
            "{count} synced writes: half within {p50}, 99 of 100 within {p99}",
            "同期書き込み {count} 回: 半数が {p50} 以内、100回中99回が {p99} 以内";
        SYNC_SLOW = Warning,
            "{count} synced writes: half within {p50}, 99 of 100 within {p99}; {bound} would do",
            "同期書き込み {count} 回: 半数が {p50} 以内、100回中99回が {p99} 以内。目安は {bound} です"
            => "Nothing commits faster than this. Take a disk with power-loss protection, and see what else writes to it.",
            "これより速く確定できません。電源断保護付きのディスクを使い、他の書き込みを確認してください。", "iostat -x 1 5";
        SYNC_FAILED = Failure,
            "a synced write failed: {cause}",
            "同期書き込みに失敗しました: {cause}"
            => "Do not run on this disk. See the kernel's log.",
            "このディスクで動かさないでください。カーネルのログを確認してください。", "dmesg --level=err,warn";
        SYNC_UNTRIED = Skipped,
            "not tried: {cause}",
            "試していません: {cause}";
    }
    KERNEL = "kernel",
        "The kernel is as new as the programs need: pidfd, O_TMPFILE, the clocks of leases.",
        "カーネルがプログラムの必要とする版以上であること (pidfd、O_TMPFILE、リースの時計)。" => {
        KERNEL_SOUND = Ok,
            "Linux {version}",
            "Linux {version}";
        KERNEL_OLD = Failure,
            "Linux {version}, {least} is needed",
            "Linux {version}。{least} 以上が必要です"
            => "Install the distribution's current kernel.",
            "配布元の現行カーネルを入れてください。", "uname -r";
    }
    LIMITS = "limits",
        "Open files, processes and locked memory that the program may have; of the running one where it runs.",
        "プログラムに許されるファイル数、プロセス数、ロックメモリー。動いていればそのプロセスの値。" => {
        LIMITS_SOUND = Ok,
            "{of}: {files} open files, {processes} processes, {locked} of locked memory; {pids} process numbers",
            "{of}: ファイル {files}、プロセス {processes}、ロックメモリー {locked}。プロセス番号 {pids}";
        LIMITS_FILES = Warning,
            "{of}: {files} open files, {least} are needed",
            "{of}: ファイル {files}。{least} が必要です"
            => "The unit sets LimitNOFILE; a program that is started otherwise needs it from its shell.",
            "ユニットは LimitNOFILE を設定します。別の方法で起動するならシェルで設定してください。", "ulimit -n {least}";
        LIMITS_PIDS = Warning,
            "{pids} process numbers, {least} are needed",
            "プロセス番号 {pids}。{least} が必要です"
            => "Raise it: jobs of many ranks run out of them.",
            "引き上げてください。多数のランクを持つジョブで不足します。", "sysctl -w kernel.pid_max=4194304";
    }
    MEMORY = "memory",
        "Memory for the program and its caches, and whether secrets can go to a swap device.",
        "プログラムとキャッシュのメモリーと、秘密がスワップに書かれうるか。" => {
        MEMORY_ENOUGH = Ok,
            "{available} of {size} available, no swap",
            "{size} 中 {available} 利用可能、スワップなし";
        MEMORY_SWAP = Warning,
            "{available} of {size} available, {used} of {swap} swap used",
            "{size} 中 {available} 利用可能、スワップ {swap} 中 {used} 使用"
            => "A program that is swapped out misses its lease or its heartbeats, and keys can get to the disk. Turn swap off or encrypt it.",
            "スワップされるとリースやハートビートに遅れ、鍵がディスクに出ます。止めるか暗号化してください。", "swapoff --all";
        MEMORY_LOW = Warning,
            "{available} of {size} available, {least} are needed",
            "{size} 中 {available} 利用可能。{least} が必要です"
            => "See who takes it; the kernel kills what is largest.",
            "何が使っているか確認してください。カーネルは最大のものを終了させます。", "ps --sort=-rss -eo rss,pid,comm | head";
    }
    CORES = "core-dumps",
        "Where the kernel puts the memory of programs that crash: jobs' data and keys are in it.",
        "異常終了したプログラムのメモリーの行き先。ジョブのデータや鍵が含まれます。" => {
        CORES_OFF = Ok,
            "none is written (pattern {pattern})",
            "書かれません (パターン {pattern})";
        CORES_CAUGHT = Ok,
            "given to a program: {pattern}",
            "プログラムに渡されます: {pattern}";
        CORES_WRITTEN = Warning,
            "written to files: {pattern}, at most {limit} each",
            "ファイルに書かれます: {pattern}、1件 {limit} まで"
            => "They fill the disk with the memory of jobs. Catch them, or set the limit to 0 as the units do.",
            "ジョブのメモリーでディスクが埋まります。捕捉するか、ユニットと同じく上限を0にしてください。",
            "sysctl -w kernel.core_pattern='|/bin/false'";
    }
}
