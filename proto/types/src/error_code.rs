//! The one vocabulary of errors: stable codes, their kind, and their text in English and Japanese.
//!
//! Clients decide by [`Kind`], people read the text, support goes by the code: each has a page in
//! `docs/error-codes/`. The order is append-only, because receipts and log entries store the number.

mod kind;
mod language;
#[macro_use]
mod table;

pub use kind::Kind;
pub use language::{Language, Text};

use serde::{Deserialize, Serialize};

codes! {
    ResidencyOutsideJp = 0, "RESIDENCY_OUTSIDE_JP", Never,
        "The place is not inside Japan, or is not known to be.",
        "場所が日本国内にない、または国内と確認できません。",
        "Nothing outside Japan is ever placed. Use a node or area inside Japan.",
        "日本国外には配置できません。国内のノードまたは地域を指定してください。";
    ResidencyArea = 1, "RESIDENCY_AREA", Never,
        "No place satisfies the areas of the policy.",
        "ポリシーの地域を満たす場所がありません。",
        "See `sekisho job explain`; widen the areas, or add a site there.",
        "`sekisho job explain` を確認し、地域を広げるか、その地域に拠点を追加してください。";
    ResidencyOperator = 2, "RESIDENCY_OPERATOR", Never,
        "The policy does not allow this operator.",
        "ポリシーがこの事業者を許可していません。",
        "Name the operator in the policy, or choose another site.",
        "ポリシーに事業者を加えるか、別の拠点を選んでください。";
    ResidencyTier = 3, "RESIDENCY_TIER", Never,
        "The place is not established at the tier that the policy wants.",
        "場所の証明段階がポリシーの要求に達していません。",
        "Lower the tier to the baseline or have the site prove its place better.",
        "要求段階を基準まで下げるか、拠点の証明段階を上げてください。";
    AreaUnknown = 4, "AREA_UNKNOWN", Invalid,
        "The area is not one of Japan's.",
        "日本の地域コードではありません。",
        "Use JP, JP-01 to JP-47, a six-digit code, or the name of a prefecture, municipality or ward.",
        "JP、JP-01〜JP-47、6桁のコード、または都道府県・市区町村の名前を使ってください。";
    AreaRetired = 5, "AREA_RETIRED", Invalid,
        "The area code is retired.",
        "この地域コードは廃止されています。",
        "Use one of the successors that the message names.",
        "メッセージに示された後継コードを使ってください。";
    PolicyTier = 6, "POLICY_TIER", Invalid,
        "The tier may not be stored in a policy.",
        "この証明段階はポリシーに設定できません。",
        "Use T1, T2 or T3.",
        "T1、T2、T3のいずれかを使ってください。";
    NoDevice = 7, "NO_DEVICE", Never,
        "No node has such devices.",
        "該当するデバイスを持つノードがありません。",
        "Ask for a class, memory and number of GPUs that a node has: `sekisho node list`.",
        "`sekisho node list` で確認し、存在する種別・メモリ・台数を指定してください。";
    CapacityFull = 8, "CAPACITY_FULL", NotYet,
        "All suitable devices are in use.",
        "適合するデバイスはすべて使用中です。",
        "Wait, or see `sekisho job explain` for what would admit the job.",
        "空きを待つか、`sekisho job explain` を確認してください。";
    NodeUnavailable = 9, "NODE_UNAVAILABLE", NotYet,
        "The suitable nodes are cordoned or not in contact.",
        "適合するノードは閉鎖中または応答がありません。",
        "See `sekisho node list`; uncordon or repair a node.",
        "`sekisho node list` を確認し、ノードを復旧してください。";
    QuotaExceeded = 10, "QUOTA_EXCEEDED", NotYet,
        "The tenant's quota is in use.",
        "テナントの割当枠を使い切っています。",
        "Wait for running jobs to end, or have the quota raised.",
        "実行中のジョブの終了を待つか、割当枠を増やしてください。";
    QuotaNone = 11, "QUOTA_NONE", Never,
        "The tenant has no quota for this device class, or less than the job needs.",
        "このデバイス種別の割当枠がない、またはジョブの必要数に足りません。",
        "Have a quota set: `sekisho quota set`.",
        "`sekisho quota set` で割当枠を設定してください。";
    InvalidArgument = 12, "INVALID_ARGUMENT", Invalid,
        "A field of the request is not valid.",
        "リクエストの項目が正しくありません。",
        "Correct the field that the message names.",
        "メッセージに示された項目を修正してください。";
    SpecSyntax = 13, "SPEC_SYNTAX", Invalid,
        "The file is not valid YAML or JSON.",
        "ファイルがYAMLまたはJSONとして正しくありません。",
        "Correct the line and column that the message names.",
        "メッセージに示された行・列を修正してください。";
    SpecUnknownField = 14, "SPEC_UNKNOWN_FIELD", Invalid,
        "The file has a field that does not exist.",
        "ファイルに存在しない項目があります。",
        "Use the nearest known field that the message names.",
        "メッセージに示された近い名前の項目を使ってください。";
    TooLarge = 15, "TOO_LARGE", Invalid,
        "The request is larger than its bound.",
        "リクエストが上限を超えています。",
        "Make it smaller; move data into the image or storage.",
        "小さくしてください。データはイメージやストレージに置いてください。";
    SecretRefused = 16, "SECRET_REFUSED", Invalid,
        "The payload looks as if it held a secret, and it is not sealed: every member could read it.",
        "ペイロードに秘密情報が含まれているようですが、封緘されていません。全メンバーが読めてしまいます。",
        "Write `payload: sealed`, or fetch secrets inside the job from a store of your own.",
        "`payload: sealed` を指定するか、秘密情報はジョブ内で自分の保管庫から取得してください。";
    NotFound = 17, "NOT_FOUND", NotFound,
        "There is no such resource, or you may not see it.",
        "対象が存在しないか、閲覧権限がありません。",
        "Check the name with a list command.",
        "一覧コマンドで名前を確認してください。";
    AlreadyExists = 18, "ALREADY_EXISTS", Conflict,
        "A resource of this name exists already.",
        "同じ名前の対象がすでに存在します。",
        "Choose another name.",
        "別の名前を選んでください。";
    RevisionMismatch = 19, "REVISION_MISMATCH", Conflict,
        "The resource changed since you read it.",
        "読み取り後に対象が変更されました。",
        "Read it again and repeat.",
        "再度読み取ってからやり直してください。";
    RequestIdReused = 20, "REQUEST_ID_REUSED", Conflict,
        "This request id was used for another command.",
        "このリクエストIDは別の命令に使われています。",
        "Make a new request id for a new intention.",
        "新しい操作には新しいリクエストIDを使ってください。";
    WrongPhase = 21, "WRONG_PHASE", Precondition,
        "The resource is not in a phase that allows this.",
        "対象の状態ではこの操作はできません。",
        "See its status first.",
        "まず状態を確認してください。";
    FeatureLevel = 22, "FEATURE_LEVEL", Precondition,
        "The federation's feature level does not allow this command yet.",
        "連合の機能レベルがこの命令に達していません。",
        "Upgrade every member, then raise the feature level.",
        "全メンバーを更新し、機能レベルを上げてください。";
    Unauthenticated = 23, "UNAUTHENTICATED", Auth,
        "The caller has no valid certificate.",
        "有効な証明書がありません。",
        "Use a context with a current certificate: `sekisho pki`.",
        "有効な証明書を持つコンテキストを使ってください。";
    PermissionDenied = 24, "PERMISSION_DENIED", Auth,
        "The caller's role does not allow this.",
        "呼び出し元の役割では許可されていません。",
        "Ask an administrator of the resource.",
        "対象の管理者に依頼してください。";
    KeyUnknown = 25, "KEY_UNKNOWN", Auth,
        "The signing key is not registered, expired or of another principal.",
        "署名鍵が未登録、期限切れ、または別の主体のものです。",
        "Have the operator's issuer register a key.",
        "事業者の発行者に鍵を登録してもらってください。";
    SignatureInvalid = 26, "SIGNATURE_INVALID", Auth,
        "A signature does not verify.",
        "署名を検証できません。",
        "Sign exactly this command for this cluster with a registered key.",
        "登録済みの鍵で、このクラスターのこの命令に署名してください。";
    SignaturesMissing = 27, "SIGNATURES_MISSING", Auth,
        "The command needs signatures of more operators.",
        "より多くの事業者の署名が必要です。",
        "Have others sign: `sekisho operator sign` for a change in a file, `--cosign` for a command.",
        "別の事業者の署名を得てください(ファイルの変更は `sekisho operator sign`、コマンドは `--cosign`)。";
    TokenUnknown = 28, "TOKEN_UNKNOWN", Auth,
        "The join token is not known.",
        "参加トークンが不明です。",
        "Create a token: `sekisho node token create`.",
        "`sekisho node token create` で作成してください。";
    TokenUsed = 29, "TOKEN_USED", Auth,
        "The join token was used already.",
        "参加トークンは使用済みです。",
        "Create a new token; each is for one node, once.",
        "新しいトークンを作成してください。1ノード1回限りです。";
    TokenExpired = 30, "TOKEN_EXPIRED", Auth,
        "The join token has expired.",
        "参加トークンの期限が切れています。",
        "Create a new token.",
        "新しいトークンを作成してください。";
    WrongCluster = 31, "WRONG_CLUSTER", Precondition,
        "The message belongs to another cluster or incarnation.",
        "別のクラスターまたは世代のものです。",
        "Use the files of this federation.",
        "この連合のファイルを使ってください。";
    TagInvalid = 32, "TAG_INVALID", Auth,
        "The site tag does not verify or does not fit the node.",
        "拠点タグを検証できない、またはノードと一致しません。",
        "Have the node join again so that its operator tags it anew.",
        "ノードを再参加させ、事業者にタグを発行してもらってください。";
    TagExpired = 33, "TAG_EXPIRED", Precondition,
        "The site tag has expired.",
        "拠点タグの期限が切れています。",
        "Let the agent renew its tag; see `sekisho node get`.",
        "エージェントにタグを更新させてください。";
    OperatorUnknown = 34, "OPERATOR_UNKNOWN", Precondition,
        "The operator does not take part in this federation.",
        "この事業者は連合に参加していません。",
        "Check the operator's name with `sekisho status`.",
        "`sekisho status` で事業者名を確認してください。";
    NodeRevoked = 35, "NODE_REVOKED", Never,
        "The node or its site was revoked.",
        "ノードまたは拠点は失効しています。",
        "A revoked node is never brought back; enrol it under a new name.",
        "失効したノードは復帰できません。新しい名前で登録してください。";
    SessionStale = 36, "SESSION_STALE", Conflict,
        "The report is from a session that ended.",
        "終了したセッションからの報告です。",
        "The agent opens a new session by itself.",
        "エージェントが自動的に新しいセッションを開きます。";
    SessionTwin = 37, "SESSION_TWIN", Conflict,
        "Another live session claims to be this node.",
        "同じノードを名乗る別のセッションがあります。",
        "Nothing to do if the agent dialled again; of two hosts `sekisho node get SITE/NODE` tells.",
        "エージェントの再接続であれば対応不要です。ホストが2台ある場合は `sekisho node get SITE/NODE` に表示されます。";
    LeaseExpiring = 38, "LEASE_EXPIRING", NotYet,
        "The lease is being taken back.",
        "リースを回収中です。",
        "The agent stops its jobs and opens a new session.",
        "エージェントはジョブを停止し、新しいセッションを開きます。";
    EpochFenced = 39, "EPOCH_FENCED", Never,
        "A newer grant has fenced this one.",
        "新しい許可により無効化されています。",
        "Nothing to do; the newer grant holds.",
        "対応不要です。新しい許可が有効です。";
    GrantMalformed = 40, "GRANT_MALFORMED", Never,
        "The grant does not parse in its one strict form.",
        "許可の形式が正しくありません。",
        "Treat the sender as faulty; keep the receipt.",
        "送信元を障害とみなし、受領証を保管してください。";
    GrantSigners = 41, "GRANT_SIGNERS", Never,
        "The checkpoint lacks signatures of enough operators.",
        "チェックポイントに必要な数の事業者の署名がありません。",
        "Bring the missing operators' signers back; see `sekisho status`.",
        "不足している事業者の署名者を復旧してください。";
    GrantInclusion = 42, "GRANT_INCLUSION", Never,
        "The record is not in the log that the checkpoint commits to.",
        "記録がチェックポイントのログに含まれていません。",
        "Treat the sender as faulty; keep the receipt.",
        "送信元を障害とみなし、受領証を保管してください。";
    GrantRollback = 43, "GRANT_ROLLBACK", Never,
        "The checkpoint is smaller than, or inconsistent with, one seen before.",
        "チェックポイントが以前より小さいか、矛盾しています。",
        "A fork or a rollback: stop and audit the federation.",
        "分岐または巻き戻しです。連合を監査してください。";
    GrantSet = 44, "GRANT_SET", Never,
        "The placements do not match the node's signed desired set.",
        "配置がノードの署名済み目標集合と一致しません。",
        "Treat the sender as faulty; keep the receipt.",
        "送信元を障害とみなし、受領証を保管してください。";
    GrantNotMine = 45, "GRANT_NOT_MINE", Never,
        "The grant is for another node, key or session.",
        "許可は別のノード、鍵、またはセッション宛てです。",
        "Treat the sender as faulty; keep the receipt.",
        "送信元を障害とみなし、受領証を保管してください。";
    TableMismatch = 46, "TABLE_MISMATCH", Never,
        "The jurisdiction table differs from the federation's.",
        "行政区域表が連合のものと異なります。",
        "Install the program version that the federation runs.",
        "連合と同じ版のプログラムを導入してください。";
    BundleMismatch = 47, "BUNDLE_MISMATCH", Never,
        "The endorser bundle is not the pinned one or its successor.",
        "承認者束が固定されたもの、またはその後継ではありません。",
        "Compare fingerprints with your operator.",
        "事業者と指紋を照合してください。";
    PayloadMismatch = 48, "PAYLOAD_MISMATCH", Never,
        "The payload does not have the digest that was granted.",
        "ペイロードのダイジェストが許可と一致しません。",
        "Treat the sender as faulty; keep the receipt.",
        "送信元を障害とみなし、受領証を保管してください。";
    LogsElsewhere = 49, "LOGS_ELSEWHERE", Precondition,
        "Output may be read only through a member inside the job's area.",
        "出力はジョブの地域内のメンバーからのみ読めます。",
        "Use the endpoint that the message names.",
        "メッセージに示された接続先を使ってください。";
    NoLeader = 50, "NO_LEADER", Unavailable,
        "No leader is known.",
        "リーダーが不明です。",
        "Retry; see `sekisho member list`.",
        "再試行し、`sekisho member list` を確認してください。";
    Overloaded = 51, "OVERLOADED", Unavailable,
        "The member sheds load.",
        "負荷超過のため受け付けられません。",
        "Retry after the stated time.",
        "示された時間の後に再試行してください。";
    OutcomeUnknown = 52, "OUTCOME_UNKNOWN", Unknown,
        "The outcome is not known; it may still take effect.",
        "結果が不明です。後で有効になる可能性があります。",
        "Repeat with the same request id.",
        "同じリクエストIDで再実行してください。";
    Deadline = 53, "DEADLINE", Unavailable,
        "The deadline passed before an answer.",
        "期限までに応答がありませんでした。",
        "Repeat with the same request id.",
        "同じリクエストIDで再実行してください。";
    StaleRead = 54, "STALE_READ", Unavailable,
        "A linearizable read could not be confirmed.",
        "最新性を確認できませんでした。",
        "Retry, or ask for a local read.",
        "再試行するか、ローカル読み取りを指定してください。";
    AuditIncomplete = 55, "AUDIT_INCOMPLETE", Unavailable,
        "This member does not hold the whole audit log yet.",
        "このメンバーは監査ログをまだ全て保持していません。",
        "Ask another member.",
        "別のメンバーに問い合わせてください。";
    ClockAhead = 56, "CLOCK_AHEAD", Unavailable,
        "The state clock is ahead of this member's clock; it signs nothing.",
        "状態時計がこのメンバーの時計より進んでいます。",
        "Check time synchronisation of the members.",
        "各メンバーの時刻同期を確認してください。";
    ClockBehind = 57, "CLOCK_BEHIND", Unavailable,
        "The state clock is behind this member's clock; it signs nothing.",
        "状態時計がこのメンバーの時計より遅れています。",
        "Wait for ticks to catch up; check the leader's clock.",
        "刻みが追いつくのを待ち、リーダーの時計を確認してください。";
    StorageFailed = 58, "STORAGE_FAILED", Internal,
        "The member's storage failed; it has stopped.",
        "メンバーのストレージに障害が発生し停止しました。",
        "Replace the disk and join again as a new member.",
        "ディスクを交換し、新しいメンバーとして参加してください。";
    StartFailed = 59, "START_FAILED", Precondition,
        "The node could not start the process.",
        "ノードがプロセスを開始できませんでした。",
        "See the reason; correct the command or the host.",
        "理由を確認し、コマンドまたはホストを修正してください。";
    Internal = 60, "INTERNAL", Internal,
        "A fault inside Sekisho.",
        "Sekisho内部の障害です。",
        "Report it with the request id.",
        "リクエストIDを添えて報告してください。";
    GrantSubmission = 61, "GRANT_SUBMISSION", Never,
        "Nobody who may has signed this job as it is granted.",
        "許可されたとおりのジョブに、権限のある提出者の署名がありません。",
        "Treat the sender as faulty; keep the receipt. If the key's issuer was replaced, submit the job again.",
        "送信元を障害とみなし、受領証を保管してください。発行者の鍵が替わった場合は、ジョブを再提出してください。";
    MemberQuorumInOneHand = 62, "MEMBER_QUORUM_IN_ONE_HAND", Precondition,
        "One operator would hold a quorum of the voters alone.",
        "一つの事業者だけで投票者の定足数を占めることになります。",
        "Promote a member of another operator first, or demote one of this one; see `sekisho member list`.",
        "先に別の事業者のメンバーを昇格させるか、この事業者のメンバーを降格させてください(`sekisho member list`)。";
    MemberNeeded = 63, "MEMBER_NEEDED", Precondition,
        "The member is still needed: no voter, or too few signing operators, would be left.",
        "このメンバーはまだ必要です。投票者、または署名する事業者が足りなくなります。",
        "Add and promote another member first.",
        "先に別のメンバーを追加し、昇格させてください。";
    MemberIdUsed = 64, "MEMBER_ID_USED", Conflict,
        "A member of this number was removed; numbers are never used again.",
        "この番号のメンバーは削除済みです。番号は再利用できません。",
        "Choose a number that was never used: `sekisho member list`.",
        "使われたことのない番号を選んでください(`sekisho member list`)。";
    MemberBehind = 65, "MEMBER_BEHIND", NotYet,
        "The member is not a voter that holds what the leader holds, or is not heard.",
        "このメンバーはリーダーの記録に追いついた投票者ではないか、応答がありません。",
        "Wait until `sekisho member list` shows it as a voter without lag.",
        "`sekisho member list` で遅れのない投票者になるまで待ってください。";
    MemberQuorumAtRisk = 66, "MEMBER_QUORUM_AT_RISK", Precondition,
        "Of the voters that the change would leave, no majority answers now.",
        "変更後の投票者の過半数が、現在応答していません。",
        "Bring the silent voters back first, or add members; see `sekisho member list`.",
        "先に応答のない投票者を復旧するか、メンバーを追加してください(`sekisho member list`)。";
    OperatorInUse = 67, "OPERATOR_IN_USE", Precondition,
        "Controllers, sites or running work of the operator are left.",
        "この事業者のコントローラー、拠点、または実行中のジョブが残っています。",
        "Remove what the message names first.",
        "メッセージに示されたものを先に取り除いてください。";
    KeyInUse = 68, "KEY_IN_USE", NotYet,
        "Something still stands on the key that would be given up.",
        "廃止する鍵をまだ使用しているものがあります。",
        "Renew what the message names, or wait; for a stolen key use --accept-stranded.",
        "メッセージに示されたものを更新するか、お待ちください。鍵が盗まれた場合は --accept-stranded を使用してください。";
    SnapshotDestination = 69, "SNAPSHOT_DESTINATION", Auth,
        "Backups may not go to this site: it is not registered, revoked, or another operator's.",
        "この拠点にはバックアップを送れません。未登録、失効済み、または別の事業者の拠点です。",
        "Register an archivist key for a site of your own operator: `sekisho key register`.",
        "自社の拠点に対する archivist の鍵を登録してください(`sekisho key register`)。";
    SnapshotMismatch = 70, "SNAPSHOT_MISMATCH", Never,
        "The image of a snapshot is not what its audit records give.",
        "スナップショットの内容が監査記録から再現したものと一致しません。",
        "Do not restore from this file; take another one, and keep this one as evidence.",
        "このファイルからは復元せず、別のファイルを使用してください。このファイルは証拠として保管してください。";
    RevisionCompacted = 71, "REVISION_COMPACTED", Precondition,
        "The changes since this revision are not kept any more.",
        "このリビジョン以降の変更は、もう保持されていません。",
        "List again, and watch from the bookmark that follows the list.",
        "一覧を取得し直し、その後のブックマークから監視を再開してください。";
    IncarnationQuorum = 72, "INCARNATION_QUORUM", Auth,
        "Companies that do not open the new incarnation could still decide in the old one.",
        "新しい世代を開始しない事業者だけで、古い世代がまだ決定を行えます。",
        "Have more companies bring a founder and sign, until the others have no quorum.",
        "残りの事業者が過半数を持たなくなるまで、より多くの事業者が創設メンバーを出して署名してください。";
    IncarnationOver = 73, "INCARNATION_OVER", Precondition,
        "The caller follows an incarnation of the federation that is not the present one.",
        "呼び出し元は、現在の世代ではない連合の世代に従っています。",
        "Follow the present one: on a host `sekisho-agent accept FILE`, for people `sekisho operator trust --write`.",
        "現在の世代に切り替えてください。ホストでは `sekisho-agent accept FILE`、利用者は `sekisho operator trust --write` を実行してください。";
    NodeDraining = 74, "NODE_DRAINING", NotYet,
        "The suitable nodes are being drained.",
        "適合するノードは退避中です。",
        "Wait, or call the drain off: `sekisho node undrain`.",
        "お待ちいただくか、`sekisho node undrain` で退避を取り消してください。";
    NodePending = 75, "NODE_PENDING", NotYet,
        "The suitable nodes wait for the approval of their operator.",
        "適合するノードは事業者の承認待ちです。",
        "Have their operator compare their keys and approve them: `sekisho node list --pending`.",
        "事業者に鍵を照合して承認してもらってください(`sekisho node list --pending`)。";
    NodeUnfit = 76, "NODE_UNFIT", NotYet,
        "The suitable nodes do not pass their own checks.",
        "適合するノードは自己点検に合格していません。",
        "See what `sekisho node get` says they found, and repair them.",
        "`sekisho node get` で点検結果を確認し、修復してください。";
    NodeKeyMismatch = 77, "NODE_KEY_MISMATCH", Conflict,
        "The fingerprint is not that of the key with which the node joined.",
        "指紋が、ノードが参加したときの鍵と一致しません。",
        "Compare again with what the host itself shows; if it differs, `sekisho node reject` it.",
        "ホスト自身が表示する指紋と照合し直してください。異なる場合は `sekisho node reject` で拒否してください。";
    SessionWaits = 78, "SESSION_WAITS", NotYet,
        "The lease of an earlier session of this node may still run.",
        "このノードの以前のセッションのリースがまだ有効かもしれません。",
        "Nothing to do: the agent asks again, and has its session when that lease is over, within half a minute.",
        "対応不要です。エージェントが再試行し、そのリースが終わると(30秒以内に)セッションが開きます。";
    NodeQuarantined = 79, "NODE_QUARANTINED", Precondition,
        "Two hosts claim to be this node: both are in quarantine.",
        "2台のホストが同じノードを名乗っています。両方が隔離されています。",
        "Take the copied host away, then `sekisho node release SITE/NODE --yes`; `sekisho node get SITE/NODE` says what was seen.",
        "複製されたホストを取り除いてから `sekisho node release SITE/NODE --yes` を実行してください。検出内容は `sekisho node get SITE/NODE` で確認できます。";
    LocationInvalid = 80, "LOCATION_INVALID", Auth,
        "A landmark's measurement does not verify, or is of another node, key, landmark or time.",
        "ランドマークの測定記録を検証できない、または別のノード・鍵・ランドマーク・時刻のものです。",
        "Let the node measure again; if it repeats, compare the landmark's key with its operator.",
        "ノードに再測定させてください。繰り返す場合は、ランドマークの鍵をその事業者と照合してください。";
    LocationInconsistent = 81, "LOCATION_INCONSISTENT", Precondition,
        "Landmarks' measurements contradict each other, or the place that the node claims.",
        "ランドマークの測定結果が互いに、またはノードの申告した場所と矛盾しています。",
        "Treat the node as in an unknown place; have the operators of the landmarks named look for the false one.",
        "ノードの場所は不明として扱い、示されたランドマークの事業者に誤りの有無を確認してもらってください。";
    AreaAmbiguous = 82, "AREA_AMBIGUOUS", Invalid,
        "The name belongs to several areas.",
        "同じ名前の地域が複数あります。",
        "Use one of the codes that the message lists, or the name with its prefecture and suffix.",
        "メッセージに示されたコード、または都道府県名と「市」「県」などを付けた名前を使ってください。";
    PayloadNotSealed = 83, "PAYLOAD_NOT_SEALED", Precondition,
        "The payload is not sealed to a key in use of this site.",
        "ペイロードがこの拠点の有効な鍵で封緘されていません。",
        "Have its owner seal it anew: `sekisho job reseal`.",
        "所有者が `sekisho job reseal` で封緘し直してください。";
    PayloadUnopenable = 84, "PAYLOAD_UNOPENABLE", Never,
        "The sealed payload or key does not open: it was altered, or sealed for something else.",
        "封緘されたペイロードまたは鍵を開けません。改変されたか、別の対象のものです。",
        "Submit the job again; if it recurs, treat the sender as faulty.",
        "ジョブを再提出してください。繰り返す場合は送信元を障害とみなしてください。";
    ProofTooSoon = 85, "PROOF_TOO_SOON", NotYet,
        "The node was measured a moment ago, and no landmark measures a host twice a minute.",
        "ノードは少し前に測定されたばかりです。ランドマークは同じホストを1分に2回は測定しません。",
        "Wait for as long as the message says, then ask again.",
        "メッセージに示された時間だけ待ってから、再度実行してください。";
    PayloadNotHere = 86, "PAYLOAD_NOT_HERE", NotYet,
        "No member inside the job's area that answers keeps what it runs, or this member is not one that may.",
        "ジョブの地域内で応答するメンバーのいずれもペイロードを保持していないか、このメンバーは保持を許可されていません。",
        "Bring a member that keeps it back, or have the owner upload it anew: `sekisho job reseal`, or submit the job again.",
        "保持しているメンバーを復旧するか、所有者が `sekisho job reseal` またはジョブの再提出で送り直してください。";
    PayloadOutside = 87, "PAYLOAD_OUTSIDE", Precondition,
        "The payload may not leave the job's area, and no member asked stands inside it at a site that it is sealed to.",
        "ペイロードはジョブの地域外に出せませんが、封緘先の拠点で地域内にあるメンバーがありません。",
        "Allow an area with a controller, add a controller there, or write `payload: sealed`.",
        "コントローラーのある地域を許可するか、地域内にコントローラーを追加するか、`payload: sealed` を指定してください。";
}

#[cfg(test)]
mod tests;
