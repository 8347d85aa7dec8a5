//! The table of codes, its first half: numbers 0 to 49. The second half follows it in one table, so that none can lack a text.

macro_rules! early {
    () => {
        late! {
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
        "Have others sign: `sekisho operator sign` for a change in a file, `sekisho approval sign` for a command.",
        "別の事業者の署名を得てください(ファイルの変更は `sekisho operator sign`、コマンドは `sekisho approval sign`)。";
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
    MethodUnknown = 38, "METHOD_UNKNOWN", Precondition,
        "The member has no such method for this caller.",
        "このメンバーには、この呼び出し元が使えるメソッドがありません。",
        "Compare the versions of client and member: `sekisho version`.",
        "`sekisho version` でクライアントとメンバーの版を比べてください。";
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
        "分岐または巻き戻しです。作業を止め、連合を監査してください。";
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
        }
    };
}
