//! The table of codes, its second half: from number 50 on. New codes come last.

macro_rules! late {
    ($($early:tt)*) => {
        codes! {
$($early)*
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
        "状態時計がこのメンバーの時計より進んでいます。チェックポイントに署名しません。",
        "Check time synchronisation of the members.",
        "各メンバーの時刻同期を確認してください。";
    ClockBehind = 57, "CLOCK_BEHIND", Unavailable,
        "The state clock is behind this member's clock; it signs nothing.",
        "状態時計がこのメンバーの時計より遅れています。チェックポイントに署名しません。",
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
        "Report it with the trace id that the message names.",
        "メッセージに示されたトレースIDを添えて報告してください。";
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
    JournalShrunk = 88, "JOURNAL_SHRUNK", Conflict,
        "The member's journal of denials has fewer entries than were recorded, or others.",
        "メンバーの拒否記録が、記録済みの件数より少ないか、内容が異なります。",
        "Ask the member's operator: its data directory was replaced or changed. `sekisho member list` says which one it is.",
        "そのメンバーの事業者に確認してください。データディレクトリが置き換えられたか変更されています。`sekisho member list` で対象を確認できます。";
    AuditFork = 89, "AUDIT_FORK", Never,
        "Two audit heads were signed that cannot both be true.",
        "両立しない監査ログの先頭が二つ署名されました。",
        "Keep every member as it is, tell every operator, verify an export of each (`sekisho audit export`), and take out the member whose history differs: `sekisho member remove`.",
        "全メンバーを現状のまま保全し、すべての事業者に知らせ、各メンバーの `sekisho audit export` を検証して、履歴の異なるメンバーを `sekisho member remove` で外してください。";
    ApprovalClosed = 90, "APPROVAL_CLOSED", Precondition,
        "The approval was decided, refused, or is past its time.",
        "この承認はすでに決定済みか、拒否されたか、期限切れです。",
        "See `sekisho approval get`; propose the change again if it is still wanted.",
        "`sekisho approval get` を確認し、必要であれば変更を再度提案してください。";
    ApprovalSigned = 91, "APPROVAL_SIGNED", Conflict,
        "Somebody of this operator has signed already; each operator counts once.",
        "この事業者はすでに署名しています。署名は1事業者につき1件のみ有効です。",
        "Have an administrator of another operator sign: `sekisho approval sign`.",
        "別の事業者の管理者に `sekisho approval sign` で署名してもらってください。";
    AccessFull = 92, "ACCESS_FULL", Precondition,
        "As many approvals wait, or as many break-glasses are open, as there may be.",
        "待機中の承認、または有効な緊急権限が上限に達しています。",
        "Decide, refuse or end some: `sekisho approval list`, `sekisho break-glass list`.",
        "`sekisho approval list` または `sekisho break-glass list` を確認し、決定、拒否、終了のいずれかを行ってください。";
    LoginTokenInvalid = 93, "LOGIN_TOKEN_INVALID", Auth,
        "The identity provider's token is not taken: its signature, issuer, audience, time or nonce is not what it must be.",
        "認証基盤のトークンを受け付けられません。署名、発行者、宛先、時刻、nonce のいずれかが正しくありません。",
        "Log in again: `sekisho login`; if it recurs, compare the operator's login settings with the provider's.",
        "`sekisho login` で再度ログインしてください。繰り返す場合は、事業者のログイン設定と認証基盤の設定を照合してください。";
    LoginNoRole = 94, "LOGIN_NO_ROLE", Auth,
        "No rule of the operator gives this person a role.",
        "この利用者に役割を与える規則が事業者の設定にありません。",
        "Have the operator add a rule, or put the person into a group that has one.",
        "事業者に規則を追加してもらうか、規則のあるグループに利用者を加えてもらってください。";
    LoginNotHere = 95, "LOGIN_NOT_HERE", Precondition,
        "This member takes no logins.",
        "このメンバーはログインを受け付けていません。",
        "Ask a member of your operator that does, or use a request file: `sekisho login --csr-out FILE`.",
        "ログインを受け付ける自社のメンバーに接続するか、`sekisho login --csr-out FILE` で申請ファイルを使用してください。";
    LoginRefused = 96, "LOGIN_REFUSED", Auth,
        "The identity provider did not let you in, or nobody confirmed the code in time.",
        "認証基盤がログインを許可しなかったか、時間内にコードが確認されませんでした。",
        "Run `sekisho login` again and confirm the code in the browser.",
        "`sekisho login` を再度実行し、ブラウザーでコードを確認してください。";
    LoginProvider = 97, "LOGIN_PROVIDER", Unavailable,
        "The identity provider does not answer, or its answer is of no use.",
        "認証基盤が応答しないか、応答を利用できません。",
        "Check the address and the roots of the login settings, then try again.",
        "ログイン設定のアドレスとルート証明書を確認し、再度実行してください。";
    ResourceInUse = 98, "RESOURCE_IN_USE", Precondition,
        "Something still refers to what is to be deleted.",
        "削除しようとしている対象は、まだ使われています。",
        "Change or end what the message names, then delete it.",
        "メッセージに示されたものを変更するか終了してから、削除してください。";
    OfferNone = 99, "OFFER_NONE", NotYet,
        "No operator offers such devices to this tenant for so long now.",
        "このテナントにこの期間、適合するデバイスを提供している事業者がいません。",
        "See `sekisho offer list`; a shorter time limit may fit an offer that ends.",
        "`sekisho offer list` を確認してください。時間制限を短くすると提供期間内に収まる場合があります。";
    OfferFull = 100, "OFFER_FULL", NotYet,
        "What the operators offer of such devices is in use.",
        "事業者が提供しているデバイスはすべて使用中です。",
        "Wait, or have more offered: `sekisho offer create`.",
        "空きを待つか、`sekisho offer create` で提供を増やしてもらってください。";
    OfferVetoed = 101, "OFFER_VETOED", Never,
        "The operator takes no work of this tenant, or not this job.",
        "事業者がこのテナントまたはこのジョブを受け入れていません。",
        "Ask the operator (`sekisho veto list`), or allow others in the job's residency.",
        "事業者に確認するか(`sekisho veto list`)、他の事業者を許可してください。";
    BudgetExhausted = 102, "BUDGET_EXHAUSTED", NotYet,
        "What is left of a budget does not cover the whole time limit.",
        "予算の残りが時間制限の全体に足りません。",
        "Wait for the next period or for refunds, shorten the time limit, or have the budget raised: `sekisho budget list`.",
        "次の期間または払い戻しを待つか、時間制限を短くするか、予算を増やしてください(`sekisho budget list`)。";
    BudgetTooSmall = 103, "BUDGET_TOO_SMALL", Never,
        "A whole period of a budget does not cover the job's time limit.",
        "予算の一期間の全額でも、このジョブの時間制限に足りません。",
        "Shorten the time limit, ask for fewer GPUs, or have the budget raised: `sekisho budget set`.",
        "時間制限を短くするか、GPU数を減らすか、予算を増やしてください(`sekisho budget set`)。";
    QuotaContradicts = 104, "QUOTA_CONTRADICTS", Invalid,
        "The numbers of the quota contradict each other or the tenant's place in the tree.",
        "割当枠の数値が互いに、またはテナントの階層上の位置と矛盾しています。",
        "Lend at most what is one's own; only a tenant with a parent borrows.",
        "貸出は自分の枠以内にしてください。借用できるのは親を持つテナントだけです。";
    TenantTree = 105, "TENANT_TREE", Invalid,
        "The tenant would be a part of itself, or of too deep a tree.",
        "テナントが自身の一部になるか、階層が深すぎます。",
        "Choose another parent: `sekisho tenant list`.",
        "別の親を選んでください(`sekisho tenant list`)。";
    BudgetPast = 106, "BUDGET_PAST", Invalid,
        "The whole span of the budget is over.",
        "予算の期間はすでに終わっています。",
        "Set a span that ends in the future.",
        "未来に終わる期間を設定してください。";
    DependencyUnknown = 107, "DEPENDENCY_UNKNOWN", Invalid,
        "A job that this one waits for does not exist.",
        "このジョブが待つ対象のジョブがありません。",
        "Submit that job first, or correct `after`; jobs that are over are forgotten after a week.",
        "先にそのジョブを投入するか、`after` を修正してください。終了したジョブは1週間後に忘れられます。";
    DependencyNever = 108, "DEPENDENCY_NEVER", Never,
        "What the job waits for can never come true any more.",
        "このジョブが待つ条件は、もう満たされません。",
        "See what became of the other job: `sekisho job status`; submit both again, or change `after`.",
        "`sekisho job status` で相手のジョブの結果を確認し、両方を再投入するか `after` を変更してください。";
    DeadlinePast = 109, "DEADLINE_PAST", Never,
        "The latest start of the job has passed.",
        "ジョブの最遅開始時刻を過ぎています。",
        "Submit it with a later `start_by` or `end_by`, or a shorter `time_limit`.",
        "`start_by` または `end_by` を遅くするか、`time_limit` を短くして投入してください。";
    DependencyWaits = 110, "DEPENDENCY_WAITS", NotYet,
        "The job waits for other jobs.",
        "ジョブは他のジョブを待っています。",
        "Wait; `sekisho job explain` names them.",
        "お待ちください。対象は `sekisho job explain` で確認できます。";
    NotBefore = 111, "NOT_BEFORE", NotYet,
        "The job waits for its earliest start.",
        "ジョブは最早開始時刻を待っています。",
        "Wait, or submit it again with an earlier `not_before`.",
        "お待ちになるか、`not_before` を早めて再投入してください。";
    TurnOfAnother = 112, "TURN_OF_ANOTHER", NotYet,
        "Other jobs' turn is first, and they take what is left.",
        "先に順番が来る他のジョブが、残りを使います。",
        "Wait, or see `sekisho job explain` for what would let it pass them.",
        "お待ちいただくか、`sekisho job explain` で追い越せる条件を確認してください。";
    RoomKept = 113, "ROOM_KEPT", NotYet,
        "What is free is kept for a job that came first.",
        "空いているものは、先に来たジョブのために確保されています。",
        "Wait, or shorten the time limit, so that it ends before the other one begins: `sekisho job explain` says to what.",
        "お待ちいただくか、そのジョブの開始前に終わるように時間制限を短くしてください。値は `sekisho job explain` が示します。";
    RoomInMaking = 114, "ROOM_IN_MAKING", NotYet,
        "Other jobs are being moved to make room for this one.",
        "このジョブの場所を空けるため、他のジョブを移動中です。",
        "Nothing to do: it is placed when they have ended.",
        "対応不要です。移動が終わると配置されます。";
    PlanMoved = 115, "PLAN_MOVED", Conflict,
        "The job would fare worse now than when it was planned; nothing was submitted.",
        "計画時より状況が悪くなっています。ジョブは受け付けていません。",
        "Plan it again: `sekisho job plan FILE`; or submit it without --if-plan.",
        "`sekisho job plan FILE` で計画し直すか、--if-plan なしで実行してください。";
    ShareRefused = 116, "SHARE_REFUSED", Never,
        "The job does not agree to share a device, or not as it is granted.",
        "ジョブがデバイスの共有に同意していないか、許可された条件に同意していません。",
        "Write `sharing: tenant` or `sharing: any` with a class of shared devices, or ask for whole ones.",
        "共有デバイスのクラスと `sharing: tenant` または `sharing: any` を指定するか、占有デバイスを指定してください。";
    DeviceTwice = 117, "DEVICE_TWICE", Invalid,
        "The node counts a device twice, or its devices contradict each other.",
        "ノードが同じデバイスを二重に数えているか、デバイスの内容が互いに矛盾しています。",
        "See `shared_devices` of the agent's settings and the host's MIG partitions: `sekisho-agent doctor`.",
        "エージェント設定の `shared_devices` とホストのMIG分割を `sekisho-agent doctor` で確認してください。";
    ShareNeighbours = 118, "SHARE_NEIGHBOURS", NotYet,
        "The free shares are on devices of jobs that this one does not share with.",
        "空きのある共有デバイスは、このジョブと共有しないジョブが使用中です。",
        "Wait, or write `sharing: any` if other tenants may compute on the same device.",
        "空きを待つか、他テナントとの共有が可能であれば `sharing: any` を指定してください。";
    ReservationNoRoom = 119, "RESERVATION_NO_ROOM", Precondition,
        "At some moment of that time more would be reserved than is offered.",
        "その期間のある時点で、予約が提供台数を超えます。",
        "Reserve fewer or another time, or offer more first: `sekisho offer list`, `sekisho reservation list`.",
        "台数か期間を変えるか、先に提供を増やしてください(`sekisho offer list`、`sekisho reservation list`)。";
    ReservationPast = 120, "RESERVATION_PAST", Invalid,
        "The time of the reservation is over.",
        "予約の期間はすでに終わっています。",
        "Make another one that ends in the future: `sekisho reservation create`.",
        "未来に終わる予約を作成してください(`sekisho reservation create`)。";
    OfferReserved = 121, "OFFER_RESERVED", NotYet,
        "What is left of the offers is reserved for others, now or before the job's time limit ends.",
        "提供の残りは、現在またはジョブの時間制限が終わる前から、他者のために予約されています。",
        "Shorten the time limit, so that it ends before the reservation begins, or wait: `sekisho job explain` names the time.",
        "時間制限を短くして予約の開始前に終わるようにするか、待ってください。時刻は `sekisho job explain` に表示されます。";
    ReservationNone = 122, "RESERVATION_NONE", Never,
        "The job's tenant has no reservation of this name that could hold the job.",
        "このテナントに、ジョブを収められるその名前の予約がありません。",
        "See `sekisho reservation list`: class, number and end have to fit; or leave `reservation` out of the spec.",
        "`sekisho reservation list` で種別・台数・終了を確認するか、ジョブ仕様から `reservation` を外してください。";
    ReservationFull = 123, "RESERVATION_FULL", NotYet,
        "The reservation that the job names has not begun, or too little of it is left.",
        "ジョブが指定した予約は、まだ始まっていないか、残りが足りません。",
        "Wait for its beginning or for its other jobs to end: `sekisho reservation list`.",
        "開始を待つか、予約を使っている他のジョブの終了を待ってください(`sekisho reservation list`)。";
    TopologyNone = 124, "TOPOLOGY_NONE", Never,
        "No rack or site is large enough for the group, or there are too few different ones to spread it over.",
        "グループ全体が入るラックまたは拠点がないか、分散先の数が足りません。",
        "Make the group smaller, or ask for less in the job's `topology`.",
        "グループを小さくするか、ジョブの `topology` の条件を緩めてください。";
    TopologyUnmet = 125, "TOPOLOGY_UNMET", NotYet,
        "What is free does not stand together, or apart, as the job's topology asks.",
        "空いている場所が、ジョブの `topology` の条件(同一ラック・同一拠点・分散)を満たしません。",
        "Wait, or ask for less in the job's `topology`: `sekisho job explain`.",
        "空きを待つか、`sekisho job explain` を確認して `topology` の条件を緩めてください。";
    TopologyApart = 126, "TOPOLOGY_APART", NotYet,
        "A job that this one keeps apart from stands there.",
        "分離すべき別のジョブが同じノードにあります。",
        "Wait for that job to end, or take its mark out of `topology.apart`.",
        "そのジョブの終了を待つか、`topology.apart` から該当する印を外してください。";
    PowerFull = 127, "POWER_FULL", NotYet,
        "Too little of the site's power cap is left beside what runs there.",
        "拠点の電力上限の残りが足りません。",
        "Wait, allow other sites, or make the group smaller: `sekisho job explain`.",
        "空きを待つか、他の拠点を許可するか、グループを小さくしてください(`sekisho job explain`)。";
    PowerTooSmall = 128, "POWER_TOO_SMALL", Never,
        "One member alone may draw more than the site's power cap.",
        "メンバー1つの定格電力だけで、拠点の電力上限を超えます。",
        "Ask for fewer GPUs a member or another class, or allow other sites.",
        "メンバーあたりのGPU数を減らすか、別の種別や他の拠点を許可してください。";
        }
    };
}
