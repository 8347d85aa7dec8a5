//! Why a field of Kubernetes is not carried over, and what to do instead. `docs/import.md` says the same for people.

use super::super::draft::Why;
use sekisho_types::error_code::Text;

const TENANT: Text = Text::new(
    "who pays and whose quota counts is the tenant: give --tenant",
    "費用と割当枠はテナントで決まります。--tenant で指定してください",
);
const PRIORITY: Text = Text::new(
    "classes of priority have no names here: write `priority:`, 0 to 100, if it shall be other than 50",
    "優先度のクラス名はありません。50 以外にする場合は `priority:`(0〜100)を書いてください",
);
const TOPOLOGY: Text = Text::new(
    "levels and labels of nodes have no names here: write topology, e.g. within: rack, spread or apart",
    "ノードの階層やラベルには対応する名前がありません。topology(within: rack、spread、apart)を書いてください",
);
const NEAR: Text = Text::new(
    "a group stands in one rack where one has room for all of it, else at one site, else anywhere: nothing takes its place",
    "グループは空きがあれば1つのラック、次に1つの拠点、なければどこにでも配置されます。代わりは不要です",
);
const GROUPED: Text = Text::new(
    "several Pods are one group: write one spec with group: for all of them",
    "複数の Pod が1つのグループです。group: を付けた1つの仕様にまとめてください",
);
const WHOLE: Text = Text::new(
    "a group is all or nothing: write the least in group: if it suffices",
    "グループは全体で1つです。少ない数で足りる場合は group: に書いてください",
);
const ROLLED: Text = Text::new(
    "what runs is replaced one by one, as far as room and service.surge let it, and all of it: `sekisho job replace`",
    "置き換えは空きと service.surge の範囲で順に、全体に対して行われます(`sekisho job replace`)",
);
const STEADY: Text = Text::new(
    "a replica counts from when its command runs; what ends soon is followed by another one after a growing pause",
    "レプリカはコマンドの開始から数えます。すぐ終わるものは間隔を延ばしながら置き換えられます",
);
const ORDERED: Text = Text::new(
    "replicas are alike, start together and keep nothing: nothing takes its place",
    "レプリカは同等で、同時に始まり、何も残しません。代わりはありません",
);
const SELECTED: Text = Text::new(
    "nodes are chosen by device class and residency, not by labels: see resources.class, residency.areas, residency.operators",
    "ノードはラベルではなく、デバイスクラスと居住規則で選ばれます。resources.class、residency.areas、residency.operators を使ってください",
);
const LABEL: Text = Text::new(
    "a job has no labels: keep it as a comment in the file",
    "ジョブにラベルはありません。ファイルのコメントとして残してください",
);
const IMAGE: Text = Text::new(
    "a spec names no image: the command runs as it is installed on the node; see that it is",
    "仕様にイメージは指定できません。コマンドはノードに導入されたものが動きます。導入を確認してください",
);
const VOLUME: Text = Text::new(
    "no volume is mounted: a member has a directory of its own; fetch the data in the command, and put results away",
    "ボリュームは接続されません。メンバーには専用のディレクトリーがあります。データの取得と結果の保存はコマンドで行ってください",
);
const SECRETS: Text = Text::new(
    "no Secret or ConfigMap is read: write what is needed in run.env, secrets with `payload: sealed`",
    "Secret や ConfigMap は読みません。必要なものを run.env に書き、秘密には `payload: sealed` を付けてください",
);
const KEPT: Text = Text::new(
    "what has ended is kept for a while by itself: see `sekisho job list`, later `sekisho audit show`",
    "終了したジョブは一定期間自動で残ります。`sekisho job list`、その後は `sekisho audit show` で確認してください",
);
const TOLERATED: Text = Text::new(
    "nodes have no taints: which are used is decided by device class, residency and what their operators offer",
    "ノードに taint はありません。使うノードはデバイスクラス、居住規則、事業者の提供枠で決まります",
);
const SUSPENDED: Text = Text::new(
    "nobody releases a job by hand, and Kueue sets it by itself: submit the job when it shall run",
    "手動での保留解除はありません(Kueue は自動で設定します)。実行したい時に投入してください",
);
const FAILURES: Text = Text::new(
    "what counts as a failure cannot be chosen: any end but exit code 0 does; let the command decide its exit code",
    "失敗の条件は選べません。終了コード 0 以外はすべて失敗です。コマンドの終了コードで調整してください",
);
const CLUSTER: Text = Text::new(
    "set by the cluster for itself: nothing takes its place",
    "クラスターが自身のために設定する項目です。代わりは不要です",
);
const ALONE: Text = Text::new(
    "a member has one command: do it at the beginning of that, or leave it out",
    "メンバーのコマンドは1つです。その先頭で行うか、省いてください",
);
const NAMELESS: Text = Text::new(
    "a member has one command, which needs no name",
    "メンバーのコマンドは1つで、名前は不要です",
);
const NAMED: Text = Text::new(
    "no name is made up: give --name",
    "名前は自動で作られません。--name で指定してください",
);
const PROBED: Text = Text::new(
    "nothing looks into the process: it is alive until it ends; let the command watch itself",
    "プロセス内部は検査しません。終了するまで稼働中です。必要ならコマンド自身で監視してください",
);
const USER: Text = Text::new(
    "a member runs as the user of its placement, without privileges: nothing takes its place",
    "メンバーは配置ごとの専用ユーザーで、特権なしで動きます。代わりはありません",
);
const NETWORK: Text = Text::new(
    "networks, names and ports are the node's: nothing is set for a job",
    "ネットワーク、名前、ポートはノードのものです。ジョブごとには設定しません",
);
const STOPPED: Text = Text::new(
    "at its end a job has SIGTERM, then SIGKILL after a fixed grace: write checkpoints at intervals",
    "終了時は SIGTERM の後、決まった猶予で SIGKILL です。定期的にチェックポイントを書いてください",
);
const RESOURCE: Text = Text::new(
    "only GPUs, processors and memory of a member are counted: see to it in the command",
    "数えるのは GPU、プロセッサー、メモリーだけです。コマンドで確認してください",
);
const RESERVED: Text = Text::new(
    "nothing is set aside on a node but GPUs: write the limit, run.cpus or run.memory_gib",
    "ノードで確保されるのは GPU だけです。制限を run.cpus か run.memory_gib に書いてください",
);
const UNKNOWN: Text = Text::new(
    "no field of a spec says it: leave it out, or do it in the command",
    "仕様に対応する項目がありません。省くか、コマンドの中で行ってください",
);

/// Why a field of this name is not carried over.
pub(super) fn of_field(key: &str) -> Why {
    match key {
        "namespace" | "kueue.x-k8s.io/queue-name" => TENANT,
        "priorityClassName" | "priority" | "preemptionPolicy" | "kueue.x-k8s.io/priority-class" => {
            PRIORITY
        }
        "topologySpreadConstraints" | "podAffinity" | "podAntiAffinity" => TOPOLOGY,
        "kueue.x-k8s.io/podset-preferred-topology"
        | "kueue.x-k8s.io/podset-unconstrained-topology" => NEAR,
        key if key.starts_with("kueue.x-k8s.io/podset-") => TOPOLOGY,
        key if key.starts_with("kueue.x-k8s.io/pod-group-") => GROUPED,
        "kueue.x-k8s.io/job-min-parallelism" => WHOLE,
        "nodeSelector"
        | "nodeName"
        | "matchFields"
        | "schedulerName"
        | "preferredDuringSchedulingIgnoredDuringExecution" => SELECTED,
        "image" | "imagePullPolicy" | "imagePullSecrets" | "runtimeClassName" => IMAGE,
        "volumes" | "volumeMounts" | "volumeDevices" | "volumeClaimTemplates" => VOLUME,
        "envFrom" => SECRETS,
        "ttlSecondsAfterFinished" => KEPT,
        "tolerations" => TOLERATED,
        "suspend" | "schedulingGates" => SUSPENDED,
        "podFailurePolicy"
        | "successPolicy"
        | "backoffLimitPerIndex"
        | "maxFailedIndexes"
        | "podReplacementPolicy" => FAILURES,
        "status" | "uid" | "creationTimestamp" | "resourceVersion" | "generation"
        | "managedFields" | "ownerReferences" | "finalizers" | "selector" | "manualSelector"
        | "managedBy" => CLUSTER,
        "initContainers" | "ephemeralContainers" | "lifecycle" => ALONE,
        "name" => NAMELESS,
        "generateName" => NAMED,
        "livenessProbe" | "readinessProbe" | "startupProbe" | "readinessGates" => PROBED,
        "partition" | "maxUnavailable" | "paused" => ROLLED,
        "minReadySeconds" | "progressDeadlineSeconds" => STEADY,
        "revisionHistoryLimit" => KEPT,
        "podManagementPolicy" | "ordinals" | "persistentVolumeClaimRetentionPolicy" => ORDERED,
        "serviceName" => NETWORK,
        "serviceAccountName"
        | "serviceAccount"
        | "automountServiceAccountToken"
        | "securityContext"
        | "hostUsers"
        | "hostPID"
        | "hostIPC"
        | "shareProcessNamespace" => USER,
        "hostNetwork" | "hostname" | "subdomain" | "dnsPolicy" | "dnsConfig" | "hostAliases"
        | "ports" | "setHostnameAsFQDN" | "enableServiceLinks" => NETWORK,
        "terminationGracePeriodSeconds" => STOPPED,
        "resizePolicy" | "claims" | "resourceClaims" | "overhead" | "ephemeral-storage" => RESOURCE,
        "labels" | "annotations" => LABEL,
        key if key.contains('/') => LABEL,
        _ => UNKNOWN,
    }
    .into()
}

/// That a wish to stand apart is none of a spec's.
pub(super) fn wished_apart() -> Why {
    Why::new(
        "a wish, and apart binds: write topology.apart, and topology.marks in the other jobs, if it shall",
        "希望としての指定です。apart は必須条件になります。必要なら topology.apart と、相手のジョブの topology.marks を書いてください",
    )
}

/// That another time limit is shorter.
pub(super) fn longer_limit() -> Why {
    Why::new(
        "a shorter time limit stands beside it, which counts",
        "より短い時間制限があり、そちらを使います",
    )
}

/// Why a label or an annotation is not carried over.
pub(super) fn of_label(key: &str) -> Why {
    if key.starts_with("kueue.x-k8s.io/") { of_field(key) } else { LABEL.into() }
}

/// Why a condition on a node's labels is not carried over.
pub(super) fn of_selector() -> Why {
    SELECTED.into()
}

/// Why what a container requests beside its limits is not carried over.
pub(super) fn of_request(key: &str) -> Why {
    match key {
        "cpu" | "memory" => RESERVED,
        _ => RESOURCE,
    }
    .into()
}

/// Why an object of this kind is not carried over.
pub(super) fn of_kind(kind: &str) -> Why {
    match kind {
        "Secret" | "ConfigMap" => SECRETS,
        "PersistentVolumeClaim" | "PersistentVolume" => VOLUME,
        "CronJob" => Text::new(
            "jobs are not started by a clock: import its jobTemplate as a Job, and submit it e.g. with cron",
            "ジョブは時刻では始まりません。jobTemplate を Job として移し、cron などで投入してください",
        ),
        "LocalQueue" | "ClusterQueue" | "Namespace" | "ResourceQuota" => Text::new(
            "what a tenant may use is a quota: `sekisho quota set`",
            "テナントの使用枠は割当枠で決めます(`sekisho quota set`)",
        ),
        "HorizontalPodAutoscaler" => Text::new(
            "a service has the replicas that its spec says: `sekisho job replace` with another number",
            "サービスのレプリカ数は仕様の値です。数を変えて `sekisho job replace` を実行してください",
        ),
        "PodDisruptionBudget" => Text::new(
            "a replica on a host that is drained is replaced before it is stopped: nothing takes its place",
            "退避するホストのレプリカは、停止前に置き換えられます。代わりは不要です",
        ),
        "Service" | "Ingress" | "NetworkPolicy" => NETWORK,
        _ => Text::new(
            "only Jobs, Deployments, StatefulSets and Pods are read: write what it starts as one of them",
            "読めるのは Job、Deployment、StatefulSet、Pod だけです。起動するものをそのいずれかで書いてください",
        ),
    }
    .into()
}
