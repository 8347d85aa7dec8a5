//! Every option of `sbatch`, in the order of its manual, with what becomes of it. `docs/import.md` says the same for people.

use super::{Field, Opt, Use, Value};
use sekisho_types::error_code::Text;

const TENANT: Text = Text::new(
    "who pays is the tenant: give --tenant; parts of it are tenants of their own, `sekisho tenant create --parent`",
    "費用はテナントが負担します。--tenant で指定し、内訳は子テナント(`sekisho tenant create --parent`)で分けてください",
);
const WHERE: Text = Text::new(
    "nodes are chosen by device class and residency: say where in residency.areas or residency.operators",
    "ノードはデバイスクラスと居住規則で選ばれます。場所は residency.areas か residency.operators に書いてください",
);
/// Of features that are not the kind of GPU.
pub(in super::super) const FEATURE: Text = Text::new(
    "features of nodes have no names here: say the kind of GPU in resources.class, its least memory in resources.memory_gib",
    "ノードの特性名はありません。GPU の種類は resources.class、最小メモリーは resources.memory_gib に書いてください",
);
const RANKED: Text = Text::new(
    "a spec's priority is 0 to 100 within the tenant, with another scale: write `priority:` if it shall be other than 50",
    "仕様の優先度はテナント内の 0〜100 で、尺度が異なります。50 以外にする場合は `priority:` を書いてください",
);
const OUTPUT: Text = Text::new(
    "output stays on the node until it is read: `sekisho job logs`, `--stderr` for errors, `--rank N` for a member",
    "出力はノードに残ります。`sekisho job logs`(エラーは `--stderr`、番号は `--rank N`)で読んでください",
);
const MAIL: Text = Text::new(
    "no mail is sent: wait with `sekisho job submit --wait ended`, or follow `sekisho job list --watch`",
    "メールは送りません。`sekisho job submit --wait ended` で待つか、`sekisho job list --watch` で見てください",
);
const WHOLE: Text = Text::new(
    "members share a node with other jobs where GPUs are left: ask for all GPUs of the node to have it alone",
    "GPU に空きがあるノードは他のジョブと共有します。専有するにはノードの全 GPU を指定してください",
);
const PLACED_AGAIN: Text = Text::new(
    "a job whose node is lost is placed again, up to three times: let the script see by its own files that it ran before",
    "ノードを失ったジョブは3回まで再配置されます。実行済みかどうかは、スクリプト自身のファイルで判断してください",
);
const SIGNAL: Text = Text::new(
    "no signal comes before the time limit; at the end it is SIGTERM, then SIGKILL: write checkpoints at intervals",
    "時間制限の前に予告のシグナルはありません。終了時は SIGTERM、次に SIGKILL です。定期的にチェックポイントを書いてください",
);
const LICENCE: Text = Text::new(
    "licences are not counted: let a quota or the licence server limit how many run",
    "ライセンス数は管理しません。割当枠かライセンスサーバーで制限してください",
);
/// Of switches that nobody said what they are.
pub(in super::super) const NEAR: Text = Text::new(
    "a group stands in one rack where one has room for all of it, else at one site; if it must: write topology, e.g. within: rack",
    "グループは空きがあれば1つのラックに、なければ1つの拠点にまとめて配置されます。必須にするには topology(within: rack など)を書いてください",
);
const SPREAD: Text = Text::new(
    "each member stands on a node of its own anyway; over racks or sites: write topology, e.g. spread: {over: rack, at_least: 2}",
    "メンバーは常に別々のノードに置かれます。ラックや拠点に分けるには topology(spread: {over: rack, at_least: 2} など)を書いてください",
);
const TASKS: Text = Text::new(
    "a member starts its command once, without a launcher of tasks: start them inside it, e.g. with torchrun",
    "メンバーごとにコマンドを1回起動します。タスクはその中で(torchrun などで)起動してください",
);
const BINDING: Text = Text::new(
    "processes are not bound to processors or sockets: do it in the script, e.g. with numactl",
    "プロセッサーやソケットへの固定は行いません。スクリプトの中で numactl などを使ってください",
);
const GPU_MODE: Text = Text::new(
    "modes and clocks of GPUs are the operator's: none is set for a job",
    "GPU のモードやクロックは事業者が管理し、ジョブごとには設定しません",
);
const NOTE: Text = Text::new(
    "a spec has no remarks: keep it as a comment in the file",
    "仕様に備考欄はありません。ファイルのコメントとして残してください",
);
const CALLER: Text = Text::new(
    "concerns the call of sbatch alone: nothing takes its place",
    "sbatch の呼び出しだけに関わる指定です。代わりは不要です",
);
const HOLD: Text = Text::new(
    "nobody releases a job by hand: submit it when it shall run, or write not_before or after",
    "手動での保留解除はありません。実行したい時に投入するか、not_before か after を書いてください",
);
const USER: Text = Text::new(
    "a job runs as the user of its placement on the node, nobody else's",
    "ジョブは配置ごとの専用ユーザーで動きます",
);
const CONTAINER: Text = Text::new(
    "a spec names no image: the command runs as it is installed on the node",
    "仕様にイメージは指定できません。コマンドはノードに導入されたものが動きます",
);
const DISK: Text = Text::new(
    "disk is not counted: see to it in the script that there is room",
    "ディスク容量は管理しません。空きはスクリプトで確認してください",
);
const NETWORK: Text = Text::new(
    "networks and ports are not handed out: see to it in the script",
    "ネットワークやポートの割り当てはありません。スクリプトで扱ってください",
);
const PROFILE: Text = Text::new(
    "nothing is sampled inside the job: do it in the script",
    "ジョブ内部の計測は行いません。スクリプトで行ってください",
);
const LIMITS: Text = Text::new(
    "limits of the submitting shell do not come along: set them in the script with ulimit",
    "投入元のシェルの制限は引き継ぎません。スクリプトの中で ulimit を使ってください",
);
const ENVIRONMENT: Text = Text::new(
    "the submitting shell's environment does not come along: write what is needed in run.env",
    "投入元の環境変数は引き継ぎません。必要なものを run.env に書いてください",
);
const INPUT: Text = Text::new(
    "standard input is empty: read the file in the script",
    "標準入力は空です。スクリプトの中でファイルを読んでください",
);
const WRAP: Text = Text::new(
    "stands for a script, and here is one: put the command into the script",
    "スクリプトの代わりになる指定です。コマンドをスクリプトに書いてください",
);
const BOOT: Text =
    Text::new("nodes are not booted for a job", "ジョブのためにノードを起動することはありません");
const FAILING: Text = Text::new(
    "when a node is lost the whole group is placed again: a group is all or nothing",
    "ノードを失うとグループ全体を再配置します。グループは全体で1つです",
);
const TRES: Text = Text::new(
    "only GPUs, processors and memory of a member are counted: write resources.gpus, run.cpus, run.memory_gib",
    "数えるのは GPU、プロセッサー、メモリーだけです。resources.gpus、run.cpus、run.memory_gib に書いてください",
);
const CHAIN: Text = Text::new(
    "a job fails as soon as what it waits for can never come true: nothing takes its place",
    "待つ条件が満たされなくなったジョブは直ちに失敗します。代わりは不要です",
);
const SHORTER: Text = Text::new(
    "a time limit is one number: write the shorter one in time_limit if it suffices",
    "時間制限は1つの値です。短い方で足りる場合は time_limit に書いてください",
);
const GANG: Text = Text::new(
    "a group begins when every member has its place",
    "グループは全メンバーの配置が決まってから始まります",
);

const fn row(name: &'static str, short: Option<char>, value: Value, meaning: Use) -> Opt {
    Opt { name, short, value, meaning }
}

/// The options.
pub(super) static OPTIONS: &[Opt] = &[
    row("account", Some('A'), Value::Must, Use::Tell(TENANT)),
    row("acctg-freq", None, Value::Must, Use::Tell(PROFILE)),
    row("array", Some('a'), Value::Must, Use::Carry(Field::Array)),
    row("batch", None, Value::Must, Use::Tell(FEATURE)),
    row("bb", None, Value::Must, Use::Tell(DISK)),
    row("bbf", None, Value::Must, Use::Tell(DISK)),
    row("begin", Some('b'), Value::Must, Use::Carry(Field::Begin)),
    row("chdir", Some('D'), Value::Must, Use::Carry(Field::Chdir)),
    row("cluster-constraint", None, Value::Must, Use::Tell(WHERE)),
    row("clusters", Some('M'), Value::Must, Use::Tell(WHERE)),
    row("comment", None, Value::Must, Use::Tell(NOTE)),
    row("constraint", Some('C'), Value::Must, Use::Carry(Field::Constraint)),
    row("container", None, Value::Must, Use::Tell(CONTAINER)),
    row("container-id", None, Value::Must, Use::Tell(CONTAINER)),
    row("contiguous", None, Value::No, Use::Tell(NEAR)),
    row("core-spec", Some('S'), Value::Must, Use::Tell(BINDING)),
    row("cores-per-socket", None, Value::Must, Use::Tell(BINDING)),
    row("cpu-freq", None, Value::Must, Use::Tell(GPU_MODE)),
    row("cpus-per-gpu", None, Value::Must, Use::Carry(Field::CpusPerGpu)),
    row("cpus-per-task", Some('c'), Value::Must, Use::Carry(Field::CpusPerTask)),
    row("deadline", None, Value::Must, Use::Carry(Field::Deadline)),
    row("delay-boot", None, Value::Must, Use::Tell(BOOT)),
    row("dependency", Some('d'), Value::Must, Use::Carry(Field::Dependency)),
    row("distribution", Some('m'), Value::Must, Use::Tell(TASKS)),
    row("error", Some('e'), Value::Must, Use::Tell(OUTPUT)),
    row("exclude", Some('x'), Value::Must, Use::Tell(WHERE)),
    row("exclusive", None, Value::May, Use::Tell(WHOLE)),
    row("export", None, Value::Must, Use::Carry(Field::Export)),
    row("export-file", None, Value::Must, Use::Tell(ENVIRONMENT)),
    row("extra", None, Value::Must, Use::Tell(NOTE)),
    row("extra-node-info", Some('B'), Value::Must, Use::Tell(BINDING)),
    row("get-user-env", None, Value::May, Use::Tell(ENVIRONMENT)),
    row("gid", None, Value::Must, Use::Tell(USER)),
    row("gpu-bind", None, Value::Must, Use::Tell(BINDING)),
    row("gpu-freq", None, Value::Must, Use::Tell(GPU_MODE)),
    row("gpus", Some('G'), Value::Must, Use::Carry(Field::Gpus)),
    row("gpus-per-node", None, Value::Must, Use::Carry(Field::GpusPerNode)),
    row("gpus-per-socket", None, Value::Must, Use::Carry(Field::GpusPerSocket)),
    row("gpus-per-task", None, Value::Must, Use::Carry(Field::GpusPerTask)),
    row("gres", None, Value::Must, Use::Carry(Field::Gres)),
    row("gres-flags", None, Value::Must, Use::Tell(BINDING)),
    row("help", Some('h'), Value::No, Use::Tell(CALLER)),
    row("hint", None, Value::Must, Use::Tell(BINDING)),
    row("hold", Some('H'), Value::No, Use::Tell(HOLD)),
    row("ignore-pbs", None, Value::No, Use::Tell(CALLER)),
    row("input", Some('i'), Value::Must, Use::Tell(INPUT)),
    row("job-name", Some('J'), Value::Must, Use::Carry(Field::JobName)),
    row("kill-on-invalid-dep", None, Value::Must, Use::Tell(CHAIN)),
    row("licenses", Some('L'), Value::Must, Use::Tell(LICENCE)),
    row("mail-type", None, Value::Must, Use::Tell(MAIL)),
    row("mail-user", None, Value::Must, Use::Tell(MAIL)),
    row("mcs-label", None, Value::Must, Use::Tell(WHOLE)),
    row("mem", None, Value::Must, Use::Carry(Field::Mem)),
    row("mem-bind", None, Value::Must, Use::Tell(BINDING)),
    row("mem-per-cpu", None, Value::Must, Use::Carry(Field::MemPerCpu)),
    row("mem-per-gpu", None, Value::Must, Use::Carry(Field::MemPerGpu)),
    row("mincpus", None, Value::Must, Use::Tell(TRES)),
    row("network", None, Value::Must, Use::Tell(NETWORK)),
    row("nice", None, Value::May, Use::Tell(RANKED)),
    row("no-kill", Some('k'), Value::May, Use::Tell(FAILING)),
    row("no-requeue", None, Value::No, Use::Tell(PLACED_AGAIN)),
    row("nodefile", Some('F'), Value::Must, Use::Tell(WHERE)),
    row("nodelist", Some('w'), Value::Must, Use::Tell(WHERE)),
    row("nodes", Some('N'), Value::Must, Use::Carry(Field::Nodes)),
    row("ntasks", Some('n'), Value::Must, Use::Carry(Field::Ntasks)),
    row("ntasks-per-core", None, Value::Must, Use::Tell(BINDING)),
    row("ntasks-per-gpu", None, Value::Must, Use::Tell(TASKS)),
    row("ntasks-per-node", None, Value::Must, Use::Carry(Field::NtasksPerNode)),
    row("ntasks-per-socket", None, Value::Must, Use::Tell(TASKS)),
    row("oom-kill-step", None, Value::May, Use::Tell(FAILING)),
    row("open-mode", None, Value::Must, Use::Tell(OUTPUT)),
    row("output", Some('o'), Value::Must, Use::Tell(OUTPUT)),
    row("overcommit", Some('O'), Value::No, Use::Tell(TASKS)),
    row("oversubscribe", Some('s'), Value::No, Use::Tell(WHOLE)),
    row("parsable", None, Value::No, Use::Tell(CALLER)),
    row("partition", Some('p'), Value::Must, Use::Tell(WHERE)),
    row("power", None, Value::Must, Use::Tell(GPU_MODE)),
    row("prefer", None, Value::Must, Use::Tell(FEATURE)),
    row("priority", None, Value::Must, Use::Tell(RANKED)),
    row("profile", None, Value::Must, Use::Tell(PROFILE)),
    row("propagate", None, Value::May, Use::Tell(LIMITS)),
    row("qos", Some('q'), Value::Must, Use::Tell(RANKED)),
    row("quiet", Some('Q'), Value::No, Use::Tell(CALLER)),
    row("reboot", None, Value::No, Use::Tell(BOOT)),
    row("requeue", None, Value::No, Use::Same),
    row("reservation", None, Value::Must, Use::Carry(Field::Reservation)),
    row("resv-ports", None, Value::May, Use::Tell(NETWORK)),
    row("segment", None, Value::Must, Use::Tell(NEAR)),
    row("signal", None, Value::Must, Use::Tell(SIGNAL)),
    row("sockets-per-node", None, Value::Must, Use::Carry(Field::SocketsPerNode)),
    row("spread-job", None, Value::No, Use::Tell(SPREAD)),
    row("stepmgr", None, Value::No, Use::Tell(TASKS)),
    row("switches", None, Value::Must, Use::Carry(Field::Switches)),
    row("test-only", None, Value::No, Use::Tell(CALLER)),
    row("thread-spec", None, Value::Must, Use::Tell(BINDING)),
    row("threads-per-core", None, Value::Must, Use::Tell(BINDING)),
    row("time", Some('t'), Value::Must, Use::Carry(Field::Time)),
    row("time-min", None, Value::Must, Use::Tell(SHORTER)),
    row("tmp", None, Value::Must, Use::Tell(DISK)),
    row("tres-bind", None, Value::Must, Use::Tell(BINDING)),
    row("tres-per-task", None, Value::Must, Use::Tell(TRES)),
    row("uid", None, Value::Must, Use::Tell(USER)),
    row("usage", None, Value::No, Use::Tell(CALLER)),
    row("use-min-nodes", None, Value::No, Use::Same),
    row("verbose", Some('v'), Value::No, Use::Tell(CALLER)),
    row("version", Some('V'), Value::No, Use::Tell(CALLER)),
    row("wait", Some('W'), Value::No, Use::Tell(CALLER)),
    row("wait-all-nodes", None, Value::Must, Use::Tell(GANG)),
    row("wckey", None, Value::Must, Use::Tell(TENANT)),
    row("wrap", None, Value::Must, Use::Tell(WRAP)),
];
