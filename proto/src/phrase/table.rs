//! The phrases. The English side is what a source says, with its places named; the Japanese one has the same names.
//!
//! Must hold: it knows no code and no call: which sentence belongs to which error, the source that says it decides.

use super::Phrase;

macro_rules! phrases {
    ($($en:literal = $ja:literal;)+) => {
        pub(super) const PHRASES: &[Phrase] = &[$(Phrase { en: $en, ja: $ja }),+];
    };
}

phrases! {
    // Names of things, alone.
    "tenant {tenant}" = "テナント {tenant}";
    "policy {policy}" = "ポリシー {policy}";
    "site {site}" = "拠点 {site}";
    "node {node}" = "ノード {node}";
    "member {member}" = "メンバー {member}";
    "operator {operator}" = "事業者 {operator}";
    "landmark {landmark}" = "ランドマーク {landmark}";
    "{what} exists" = "{what} はすでに存在します";
    "{what*} does not exist" = "{what*} は存在しません";
    "{name} does not exist, or you may not see it" = "{name} は存在しないか、閲覧権限がありません";
    "item {item} of the batch: {detail*}" = "一括処理の {item} 番目(0から数えて): {detail*}";

    // Who may, and who has to sign.
    "{principal} may not {verb} here" = "{principal} には、ここでの {verb} の権限がありません";
    "{signer} has no such key in force" = "{signer} にそのような有効な鍵はありません";
    "signature of {signer}" = "{signer} の署名";
    "{verb} needs the caller's signature and {need} operator(s), has {have}" =
        "{verb} には呼び出し元の署名と {need} 事業者の署名が必要ですが、{have} 事業者分しかありません";
    "only agents may call this" = "エージェントだけが呼び出せます";
    "only members may call this" = "メンバーだけが呼び出せます";
    "only landmarks may call this" = "ランドマークだけが呼び出せます";
    "no node is enrolled with this certificate" = "この証明書で登録されたノードはありません";
    "not a member of this federation" = "この連合のメンバーではありません";
    "not a landmark of this federation" = "この連合のランドマークではありません";
    "the certificate has ended" = "証明書の期限が切れています";
    "too many signatures" = "署名が多すぎます";

    // Any change.
    "{what*} is at revision {stands} now" = "{what*} は現在リビジョン {stands} です";
    "request {request} was used for another command" = "リクエスト {request} は別の命令に使われています";
    "level {level} is in force" = "機能レベル {level} が有効です";
    "level {level} is in force, and never lowered" = "機能レベル {level} が有効で、下げることはできません";
    "the message is not readable" = "メッセージを読み取れません";
    "the federation has not begun" = "連合はまだ開始していません";
    "incarnation {present} is in force, it was signed for {told}" =
        "世代 {present} が有効ですが、世代 {told} に対する署名です";
    "a batch has 1 to {most} commands, this one {has}" = "一括処理の命令は 1〜{most} 件ですが、{has} 件あります";
    "{id} was revoked" = "{id} は失効しています";
    "{id} was decommissioned" = "{id} は廃止されています";
    "site {id} was revoked" = "拠点 {id} は失効しています";

    // Fields.
    "must be given" = "指定が必要です";
    "must be tenant or any: devices of class {class} are shared" =
        "tenant または any を指定してください。クラス {class} のデバイスは共有されます";
    "must be left out: devices of class {class} are not shared" =
        "指定できません。クラス {class} のデバイスは共有されません";
    "must be 1 of class {class}" = "クラス {class} では 1 を指定してください";
    "must be 1 to {most}" = "1〜{most} で指定してください";
    "must be 0 to {most}" = "0〜{most} で指定してください";
    "must be {least} to {most} {unit}" = "{least}〜{most} {unit} で指定してください";
    "must be 1 to {most}, are {number}" = "1〜{most} 件で指定してください(現在 {number} 件)";
    "must be 1 s to {most} s" = "1秒〜{most}秒で指定してください";
    "must be at most {most}" = "{most} 以下にしてください";
    "must be at most {most} bytes" = "{most} バイト以下にしてください";
    "must be at most {most} sites" = "{most} 拠点以下にしてください";
    "must have at most {most} entries" = "{most} 件以下にしてください";
    "must have 1 to {most} arguments" = "引数は 1〜{most} 個にしてください";
    "must have at most {most} variables" = "変数は {most} 個以下にしてください";
    "must have {bytes} bytes" = "{bytes} バイトで指定してください";
    "must have no control characters" = "制御文字を含めないでください";
    "must be within the parent" = "親リソースの中のものを指定してください";
    "must be the etag that was read" = "読み取った etag を指定してください";
    "must be 2 to the number of members, which is {group}" = "2〜メンバー数({group})で指定してください";
    "must be rack where all members are at one site" =
        "全メンバーを同一拠点に置く場合は rack を指定してください";
    "must not be given where all members are in one rack" =
        "全メンバーを同一ラックに置く場合は指定できません";
    "must be RACK or SITE" = "RACK または SITE を指定してください";
    "must be OPERATORS, PREFECTURES, SITES or RACKS" =
        "OPERATORS、PREFECTURES、SITES、RACKS のいずれかを指定してください";
    "must be a known mode" = "有効なモードを指定してください";
    "must be one of {words*}" = "次のいずれかを指定してください: {words*}";
    "must be a name `{pattern}`" = "`{pattern}` の形式の名前を指定してください";
    "must be T1, T2 or T3" = "T1、T2、T3のいずれかを指定してください";
    "must be keep or drain" = "keep または drain を指定してください";
    "must be `none`, `unlimited` or a number" = "`none`、`unlimited`、または数値を指定してください";
    "must not stand there twice" = "重複して指定できません";
    "must not contain a NUL" = "NUL文字を含めないでください";
    "must be a name of letters, digits and `_`" = "英字・数字・`_` からなる名前を指定してください";
    "is reserved: Sekisho sets it" = "予約されています(Sekishoが設定します)";
    "must be the one that the previous page of this query gave" =
        "同じ問い合わせの前のページで返されたものを指定してください";
    "must be known topics" = "有効なトピックを指定してください";
    "{field}: at most {most} bytes" = "{field}: {most} バイト以下にしてください";
    "must have the length and SHA-256 that the spec names" =
        "仕様に示された長さとSHA-256に一致する必要があります";
    "must be the sites that the payload names" = "ペイロードに示された拠点と一致する必要があります";
    "must not hold a secret unless it is sealed: every voter can read it" =
        "封緘しない限り秘密情報を含められません。全メンバーが読めてしまいます";
    "must not be empty: what stays in the job's area is sealed" =
        "空にできません。地域内に留めるものは封緘が必要です";
    "message: must be one line without control characters" =
        "message: 制御文字を含まない1行にしてください";
    "within_s: at most {most} seconds, or none" = "within_s: {most} 秒以下にするか、省略してください";

    // Names and areas.
    "a name may not be empty" = "名前は空にできません";
    "a name has at most {most} characters, this one has {has}" = "名前は {most} 文字以下です(現在 {has} 文字)";
    "`{name*}` must begin with a letter a-z and end with a letter or digit" =
        "`{name*}` は a〜z で始まり、英数字で終わる必要があります";
    "`{name*}` has the character `{character*}`: only a-z, 0-9 and - are allowed" =
        "`{name*}` に文字 `{character*}` があります。使えるのは a〜z、0〜9、- だけです";
    "`{area*}` is not an area of Japan" = "`{area*}` は日本の地域ではありません";
    "`{area*}` lies outside Japan" = "`{area*}` は日本国外です";
    "`{area*}` is a name of several areas: {areas*}; write the code or the whole name" =
        "`{area*}` は複数の地域の名前です: {areas*}。コードまたは完全な名前を指定してください";
    "area code {code} ({name*}) is not valid on {day}; now: {successors*}" =
        "地域コード {code}({name*})は {day} の時点で無効です。現在: {successors*}";
    "{area*} is not inside Japan" = "{area*} は日本国内ではありません";

    // Jobs and quotas.
    "job {job} exists" = "ジョブ {job} はすでに存在します";
    "job {job} is {phase}" = "ジョブ {job} の状態は {phase} です";
    "job {job} is being cancelled" = "ジョブ {job} は取り消し中です";
    "job {job} is {phase}: only what is queued is sealed anew" =
        "ジョブ {job} の状態は {phase} です。封緘し直せるのは待機中のジョブだけです";
    "job {job} is sealed anew by {principal}, who submitted it" =
        "ジョブ {job} を封緘し直せるのは、提出した {principal} だけです";
    "what is sealed anew is sealed, and the same job in all but its payload" =
        "封緘し直すジョブは封緘されており、ペイロード以外が同じである必要があります";
    "{tenant} has {open} open jobs, the most that a tenant may have" =
        "{tenant} の未完了ジョブは {open} 件で、テナントの上限に達しています";
    "{tenant} may hold {limit} {class}, the job needs {need}" =
        "{tenant} の {class} の割当枠は {limit} ですが、このジョブには {need} が必要です";
    "{tenant} has room for {room} {class}, the job needs {need}" =
        "{tenant} に残る {class} の割当枠は {room} で、このジョブには {need} が必要です";
    "only a job has a payload" = "ペイロードを持てるのはジョブだけです";
    "the payload is not the one that the facts name" = "ペイロードが仕様に示されたものと異なります";
    "the payload is not that of the batch's jobs, one behind the other" =
        "ペイロードが、一括処理のジョブのものを順に並べたものと異なります";
    "the payload is another job's, and stays apart" = "ペイロードは別のジョブのもので、共有できません";
    "another open job has the same payload" = "未完了の別のジョブが同じペイロードを持っています";
    "what stays in the job's area is sealed" = "ジョブの地域内に留めるものは封緘が必要です";
    "no member stands inside the job's area at a site that the payload is sealed to" =
        "ペイロードの封緘先の拠点で、ジョブの地域内にあるメンバーがありません";
    "key {epoch} of site {site} is not the one in use: seal it anew" =
        "拠点 {site} の鍵 {epoch} は使用中のものではありません。封緘し直してください";
    "waits for a place" = "配置待ちです";
    "waits for a place, sealed anew" = "封緘し直し、配置待ちです";
    "waits again: {why*}" = "再び待機中です: {why*}";
    "cancelled before it was placed" = "配置前に取り消されました";
    "waits for {count} other job(s)" = "他のジョブ {count} 件を待っています";
    "waits until {from}" = "{from} まで待っています";
    "waits until job {on} has {when}" = "ジョブ {on} が {when} になるのを待っています";
    "job {on} is {phase}, and will never have {when}" =
        "ジョブ {on} の状態は {phase} で、{when} になることはもうありません";
    "the latest start, {by}, has passed" = "最遅開始時刻 {by} を過ぎました";
    "{others} jobs wait for job {on}, the most of a job" =
        "ジョブ {on} を待つジョブは {others} 件で、上限に達しています";
    "must be at most {most} jobs" = "{most} ジョブ以下にしてください";
    "must name each job once" = "同じジョブは1回だけ指定してください";
    "must not be the job itself" = "ジョブ自身は指定できません";
    "must be later than not_before" = "not_before より後にしてください";
    "must be a job of the same tenant" = "同じテナントのジョブを指定してください";
    "must be STARTED, SUCCEEDED, FAILED or ENDED" =
        "STARTED、SUCCEEDED、FAILED、ENDED のいずれかを指定してください";
    "stopped on {node}" = "{node} で停止しました";
    "the operator of its submitter left the federation" = "提出者の事業者が連合から脱退しました";
    "the federation began anew: submit it again" = "連合が再開しました。再提出してください";
    "no member of the federation stands inside the job's area" =
        "ジョブの地域内に連合のメンバーがありません";
    "this member is outside the job's area; ask {site} at {address}" =
        "このメンバーはジョブの地域外です。{site}({address})に問い合わせてください";
    "the node is attached to no member inside the job's area" =
        "ノードは、ジョブの地域内のどのメンバーにも接続していません";
    "too many readers of this node" = "このノードの読み手が多すぎます";
    "{placement} is not kept" = "{placement} は保存されていません";
    "no output of {placement} is kept" = "{placement} の出力は保存されていません";

    // Quotas, budgets, escrow, offers and vetoes.
    "quota {tenant}/{class}.{area}" = "割当枠 {tenant}/{class}.{area}";
    "budget {tenant}/{name}" = "予算 {tenant}/{name}";
    "offer {site}/{name}" = "提供 {site}/{name}";
    "escrow {site}/{tenant}/{class}" = "拠点への預託枠 {site}/{tenant}/{class}";
    "{field}: at most {most}" = "{field}: {most} 以下にしてください";
    "{tenant} would lend {lends} of its {own}" =
        "{tenant} の貸出 {lends} が、自分の枠 {own} を超えています";
    "{tenant} has no parent to borrow from" = "{tenant} には借用元となる親がありません";
    "{id} borrows {class} in {area}, and would have no parent" =
        "{id} は {area} で {class} を借用しているため、親が必要です";
    "{id} would be a part of itself" = "{id} が自身の一部になります";
    "{parent} is a part of {id}" = "{parent} は {id} の一部です";
    "tenant {part} is a part of {id}" = "テナント {part} は {id} の一部です";
    "the tree would have {levels} levels, it may have {most}" =
        "階層が {levels} 段になります。上限は {most} 段です";
    "{tenant} has no quota for {class} in {place}" = "{tenant} には {place} での {class} の割当枠がありません";
    "{tenant} has room for {room} {class} in {area}, {more} more are asked for" =
        "{tenant} に残る {area} での {class} の割当枠は {room} ですが、さらに {more} が求められています";
    "must be GPU_HOURS or YEN" = "GPU_HOURS または YEN を指定してください";
    "must be STOP or WARN" = "STOP または WARN を指定してください";
    "must be `day`, `month`, `fiscal-year` or empty" =
        "`day`、`month`、`fiscal-year` を指定するか、空にしてください";
    "must be given where there is no period" = "期間の種別を指定しない場合は必要です";
    "must not be given where there is a period" = "期間の種別を指定する場合は指定できません";
    "period: must begin before it ends, and within ten years of that" =
        "period: 開始は終了より前で、10年以内にしてください";
    "period: ended at {until}" = "period: {until} に終了しています";
    "{tenant} has {most} budgets, the most of a tenant" =
        "{tenant} の予算は {most} 件で、テナントの上限に達しています";
    "budget {tenant}/{name} counts something else: only its amount and what happens at its end change" =
        "予算 {tenant}/{name} の対象は変更できません。変更できるのは金額と超過時の扱いだけです";
    "budget {tenant}/{name} has {left} GPU-hours left, the job needs {need}" =
        "予算 {tenant}/{name} の残りは {left} GPU時間です。このジョブには {need} が必要です";
    "must be KEEP or DRAIN" = "KEEP または DRAIN を指定してください";
    "must be a name `{tenants}` or `{jobs}`" = "`{tenants}` または `{jobs}` の形式の名前を指定してください";
    "until: must come after from" = "until: from より後にしてください";
    "until: is over" = "until: すでに過ぎています";
    "excluded: at most {most} tenants" = "excluded: {most} テナント以下にしてください";
    "{what*} was withdrawn" = "{what*} は撤回されています";
    "{what*} is of {class}: make another one" = "{what*} は {class} のものです。別の提供を作成してください";
    "{site} has {most} offers, the most of a site" = "{site} の提供は {most} 件で、拠点の上限に達しています";
    "{operator} has {most} vetoes, the most of an operator" =
        "{operator} の拒否は {most} 件で、事業者の上限に達しています";
    "a veto of {operator} against {of*}" = "{of*} に対する {operator} の拒否";
    "job {job} is a task: a veto is of a whole job" =
        "ジョブ {job} はタスクです。拒否はジョブ全体に対して指定してください";
    "{operator} takes no work of {of*}: {reason*}" = "{operator} は {of*} を受け入れていません: {reason*}";
    "reservation {tenant}/{name}" = "予約 {tenant}/{name}";
    "must be WAIT or DRAIN" = "WAIT または DRAIN を指定してください";
    "gpus: must be 1 to {most}" = "gpus: 1 から {most} までにしてください";
    "from: must come within five years" = "from: 5年以内にしてください";
    "until: must come within 366 days of from" = "until: from から366日以内にしてください";
    "{site} has {most} reservations of {class}, the most of a class at a site" =
        "{site} の {class} の予約は {most} 件で、1拠点・1種別の上限に達しています";
    "{tenant} has {most} reservations, the most of a tenant" =
        "{tenant} の予約は {most} 件で、テナントの上限に達しています";
    "{short} {class} more than {site} offers would be reserved at once" =
        "{site} の {class} の予約が、提供を {short} 台上回ることになります";
    "{what*} is over" = "{what*} は終了しています";
    "{what*} can be lowered; for more, or another time, make another one" =
        "{what*} は減らすことだけができます。増やす場合や期間を変える場合は、別の予約を作成してください";
    "{tenant} has no reservation {name} for {class}, that many and that long" =
        "{tenant} には、{class} をその台数・その期間使える予約 {name} がありません";
    "devices at {site} that others reserved are to be had now" =
        "{site} では、他者が予約したデバイスを空ける時刻になりました";
    "less is offered at {site} than runs there" = "{site} で実行中の台数を、提供台数が下回っています";

    // Why a place is none.
    "the place is not inside Japan" = "場所が日本国内ではありません";
    "the place's area code is unknown or retired" = "場所の地域コードが不明か、廃止されています";
    "{area*} is in none of the allowed areas" = "{area*} は許可された地域に含まれません";
    "{area*} lies in the denied area {denied*}" = "{area*} は拒否された地域 {denied*} に含まれます";
    "the policy names the retired area code {area*}" = "ポリシーに廃止された地域コード {area*} があります";
    "operator {operator} is not allowed" = "事業者 {operator} は許可されていません";
    "the country is established at {have}, the policy wants {want}" =
        "国の証明段階は {have} ですが、ポリシーは {want} を要求しています";
    "the area is established at {have}, the policy wants {want}" =
        "地域の証明段階は {have} ですが、ポリシーは {want} を要求しています";
    "the country is proven with f={have}, the policy wants f={want}" =
        "国は f={have} で証明されていますが、ポリシーは f={want} を要求しています";
    "the proof of the country is {have} s old, the policy wants at most {want} s" =
        "国の証明は {have} 秒前のものですが、ポリシーは {want} 秒以内を要求しています";
    "{tier} is below the national baseline {base}" = "{tier} は国内の基準 {base} を下回ります";
    "tier {tier} is given to no node yet" = "証明段階 {tier} のノードはまだありません";
    "a policy lists at most {most} areas or operators" = "ポリシーの地域・事業者は {most} 件以下です";
    "proof_f is at most {most}" = "proof_f は {most} 以下です";
    "max_proof_age_s is {least} to {most} seconds" = "max_proof_age_s は {least}〜{most} 秒です";
    "max_proof_age_s and on_stale_proof: drain need country_tier or area_tier T2 or more" =
        "max_proof_age_s と on_stale_proof: drain には、country_tier または area_tier が T2 以上である必要があります";
    "on_disconnect: a policy forbids run_to_completion" =
        "on_disconnect: ポリシーが run_to_completion を禁止しています";

    // The funnel of `job explain`.
    "inside Japan" = "日本国内";
    "country established at {country} or better, area at {area} or better" =
        "国の証明段階が {country} 以上、地域が {area} 以上";
    "anywhere in Japan" = "日本国内のどこでも";
    "of any operator" = "すべての事業者";
    "in {areas*} ({source*})" = "{areas*} 内({source*})";
    "in {areas*} but not in {denied*} ({source*})" = "{areas*} 内で {denied*} を除く({source*})";
    "of {allowed*} ({source*})" = "事業者 {allowed*}({source*})";
    "not of {denied*} ({source*})" = "事業者 {denied*} を除く({source*})";
    "of {allowed*} but not of {denied*} ({source*})" = "事業者 {allowed*}、ただし {denied*} を除く({source*})";
    "the job" = "ジョブ";
    "has {gpus*} in one bucket" = "1台に {gpus*} を備える";
    "{count} x {class} with {memory} MiB or more each" = "{class} {count} 台(各 {memory} MiB 以上)";
    "{count} x {class} with {memory} MiB and {units} units or more each" =
        "{class} {count} 台(各 {memory} MiB、演算スライス {units} 以上)";
    "{count} x {class} with {units} units or more each" = "{class} {count} 台(各演算スライス {units} 以上)";
    "{count} x {class}" = "{class} {count} 台";
    "not revoked" = "失効していない";
    "no member inside the area keeps the payload" = "地域内のメンバーがペイロードを保持していない";
    "some member keeps the payload" = "ペイロードを保持するメンバーがある";
    "has not refused this job" = "このジョブを拒否していない";
    "approved by its operator" = "事業者の承認済み";
    "passes its own checks" = "自己点検に合格";
    "not being drained" = "退避中でない";
    "not in quarantine" = "隔離されていない";
    "schedulable and in contact" = "配置可能で応答がある";
    "site tag in force" = "拠点タグが有効";
    "{gpus} of them free in one bucket" = "そのうち {gpus} 台が1台のホストで空いている";
    "a share free beside jobs of the tenant alone" = "同じテナントのジョブだけと共有する枠が空いている";
    "a share free beside jobs that share with any tenant" =
        "どのテナントとも共有するジョブとの共有枠が空いている";
    "taken by its operator" = "事業者が受け入れている";
    "offered to {tenant} until {until}" = "{tenant} に {until} まで提供されている";
    "{gpus} of what is offered free" = "提供されているうち {gpus} 台が空いている";
    "no member above its site's power cap" = "1メンバーの定格電力が拠点の電力上限を超えない";
    "not beyond a power cap" = "電力上限を超えない";
    "not beyond a power cap: {sites*}" = "電力上限を超えない: {sites*}";
    "not reserved for others" = "他者の予約がない";
    "not reserved for others: {windows*}" = "他者の予約がない: {windows*}";
    "{gpus} of reservation {name} left for so long" = "予約 {name} に {gpus} 台、その期間の空きがある";
    "quota of {tenant} for {class}: {rows*}, needed {need}" =
        "{tenant} の {class} の割当枠 {rows*}、必要 {need}";
    "no hard budget" = "上限となる予算なし";
    "beside any job" = "どのジョブとも同じノードに置ける";
    "beside no job of {apart*}" = "印 {apart*} のジョブと同じノードにない";
    "beside no job that keeps apart from {marks*}" = "印 {marks*} を避けるジョブと同じノードにない";
    "beside no job of {apart*}, and none that keeps apart from {marks*}" =
        "印 {apart*} のジョブとも、印 {marks*} を避けるジョブとも同じノードにない";
    "members anywhere" = "メンバーの配置は任意";
    "all {group} in one rack" = "{group} メンバーすべてが同一ラック";
    "all {group} at one site" = "{group} メンバーすべてが同一拠点";
    "in {least} or more {over}, at most {most} in one" = "{over} {least} か所以上に分散、1か所に {most} まで";
    "operators" = "事業者";
    "prefectures" = "都道府県";
    "sites" = "拠点";
    "racks" = "ラック";
    "can read the payload" = "ペイロードを読める";
    "payload not sealed to {sites*}" = "ペイロードが {sites*} に封緘されていない";
    "no node is enrolled" = "登録されたノードがありません";
    "{count} job(s) are being moved to make room" = "場所を空けるため {count} 件のジョブを移動中です";
    "waits until {count} job(s) have made room" = "{count} 件のジョブが場所を空けるのを待っています";
    "makes room for job {id}" = "ジョブ {id} のために場所を空けています";
    "waits for a place: the room that was made is not enough: {code}" =
        "配置を待っています: 空けた場所では足りません({code})";
    "a budget above {tenant} does not cover the {need} GPU-hours" =
        "{tenant} の上位の予算が {need} GPU時間に足りません";
    "a budget above {tenant}" = "{tenant} の上位の予算";
    "{left} of {nodes} nodes pass, {needed} needed" = "{nodes} ノード中 {left} ノードが適合、{needed} 必要";
    "at the latest {at}, {basis*}" = "遅くとも {at}({basis*})";
    "when running jobs have ended by their time limits" = "実行中のジョブが時間制限までに終了";
    "when the jobs before it have ended by their time limits" = "先行するジョブが時間制限までに終了";
    "when a budget's next period begins" = "予算の次の期間が開始";
    "when an offer begins" = "提供が開始";
    "no estimate: nothing that is known to end or begin lets it start" =
        "見込みなし: 終了・開始が分かっているものだけでは開始できません";
    "only the first {most} jobs of the queue were looked at" = "待ち行列の先頭 {most} 件だけを確認しました";
    "left by the jobs whose turn is first" = "先に順番が来るジョブの残り";
    "not kept for another job" = "他のジョブのために確保されていない";
    "placed now" = "今すぐ配置";
    "would wait" = "待機";
    "never" = "配置不可";
    "at revision {was}: {planned*}; at revision {now}: {is*}, {code*}" =
        "リビジョン {was} では「{planned*}」でしたが、リビジョン {now} では「{is*}」です: {code*}";
    "wait for job {job} to end, by {until} at the latest" = "ジョブ {job} の終了を待つ(遅くとも {until})";
    "seal the payload anew for them" = "それらに向けてペイロードを封緘し直す";
    "seal the payload anew, which uploads it to members inside the area" =
        "ペイロードを封緘し直し、地域内のメンバーに送る";
    "{change*} of the job" = "ジョブの規則: {change*}";
    "{change*} of policy {policy}" = "ポリシー {policy}: {change*}";
    "drop the area rule {areas*}" = "地域の規則 {areas*} を外す";
    "allow the denied areas {denied*}" = "拒否された地域 {denied*} を許可する";
    "drop the operator rule {operators*}" = "事業者の規則 {operators*} を外す";
    "allow the denied operators {denied*}" = "拒否された事業者 {denied*} を許可する";
    "lower the tiers to {tier}" = "証明段階を {tier} に下げる";
    "set a quota of {wanted} for {tenant} on {class}" = "{tenant} に {class} の割当枠 {wanted} を設定する";
    "raise the quota of {tenant} for {class} by {by} to {to}" =
        "{tenant} の {class} の割当枠を {by} 増やして {to} にする";
    "raise the budget {tenant}/{name} by {by} to {to} {unit}" =
        "予算 {tenant}/{name} を {by} 増やして {to} {unit} にする";
    "have a budget above {tenant} raised" = "{tenant} の上位の予算を増やしてもらう";
    "have offer {name} made to {tenant}" = "提供 {name} を {tenant} にも行ってもらう";
    "have offer {name} last until {until}" = "提供 {name} を {until} まで延ばしてもらう";
    "have offer {name} begin now" = "提供 {name} を今すぐ始めてもらう";
    "have offer {name} raised by {by} to {to}" = "提供 {name} を {by} 増やして {to} にしてもらう";
    "have offer {name} cost {yen} yen instead of {was}" = "提供 {name} の単価を {was} 円から {yen} 円にしてもらう";
    "have the power cap of {site} raised by {by} to {to} W" = "{site} の電力上限を {by} W 増やして {to} W にしてもらう";
    "have {operator} lift its veto of {of*}" = "{operator} に {of*} の拒否を解除してもらう";
    "ask for a time limit of {limit} s instead of {was}" = "時間制限を {was} 秒から {limit} 秒に短くする";
    "make the group {group} instead of {was}" = "グループのメンバー数を {was} から {group} に減らす";
    "ask for {helps} GPUs a member instead of {was}" = "1メンバーあたりのGPUを {was} から {helps} に減らす";
    "ask for {class} of any memory" = "メモリの条件なしで {class} を要求する";
    "ask for {class} of any number of units" = "演算スライスの条件なしで {class} を要求する";
    "share the device with jobs of any tenant" = "他テナントのジョブともデバイスを共有する";
    "ask for {class} instead of {was}" = "{was} の代わりに {class} を要求する";
    "let the members stand in several racks of a site" = "メンバーを同一拠点の複数ラックに置けるようにする";
    "let the members stand at several sites" = "メンバーを複数の拠点に置けるようにする";
    "spread over {fewer} {over} instead of {was}" = "分散先の{over}を {was} から {fewer} に減らす";
    "do not spread over {over}" = "{over}への分散を求めない";
    "let it stand beside any job" = "どのジョブとも同じノードに置けるようにする";

    // Nodes.
    "{id} is not being drained" = "{id} は退避中ではありません";
    "{id}: the drain's deadline has not come" = "{id}: 退避の期限になっていません";
    "{id} is drained" = "{id} は退避済みです";
    "{id} is being drained: call that off first (`sekisho node undrain`)" =
        "{id} は退避中です。先に取り消してください(`sekisho node undrain`)";
    "{id} joined with another key" = "{id} は別の鍵で参加しています";
    "{id} is in service: drain or revoke it first" = "{id} は稼働中です。先に退避または失効させてください";
    "{left} placements on {id} are not confirmed dead" =
        "{id} の配置 {left} 件の停止が確認されていません";
    "{id} is in no quarantine" = "{id} は隔離されていません";
    "the lease of session {session} has not ended yet" = "セッション {session} のリースはまだ終わっていません";
    "two hosts claim to be {id}" = "2台のホストが {id} を名乗っています";
    "two hosts claim to be {id}; it was put into quarantine" =
        "2台のホストが {id} を名乗っているため、隔離しました";
    "the agent of {id} has not come over to this incarnation yet" =
        "{id} のエージェントはまだこの世代に移っていません";
    "{id} is not approved" = "{id} は承認されていません";
    "{id} is not enrolled" = "{id} は登録されていません";
    "{node} is not attached here" = "{node} はこのメンバーに接続していません";
    "{node} can be measured again in {seconds} s" = "{node} は {seconds} 秒後に再測定できます";
    "too many ask for a proof of {node}" = "{node} の証明の要求が多すぎます";
    "the agent of {node} is attached to no member that answers" =
        "{node} のエージェントは、応答するどのメンバーにも接続していません";
    "no fix of {id} is kept" = "{id} の測定結果は保存されていません";

    // Joining.
    "node {node} is enrolled" = "ノード {node} は登録済みです";
    "no such token for this node" = "このノードのトークンではありません";
    "the token was used" = "トークンは使用済みです";
    "expired at {until}" = "期限 {until} を過ぎています";
    "expires: must lie within the next 24 hours" = "expires: 24時間以内にしてください";
    "expires: must lie ahead" = "expires: 未来の時刻にしてください";
    "the tag names {area*}, the site stands in {site*}" =
        "タグの地域は {area*} ですが、拠点は {site*} にあります";
    "{area*} does not lie in {site*}, where the site stands" = "{area*} は、拠点のある {site*} に含まれません";
    "a node joins through its own operator" = "ノードは自社を通じて参加します";
    "a node of {operator} joins and renews through its own members" =
        "{operator} のノードは、自社のメンバーを通じて参加・更新します";
    "the members have changed since the token was made: make a new one" =
        "トークンの作成後にメンバーが変わりました。作り直してください";
    "the token pins the endorser bundle of before a change of members: make a new one" =
        "トークンは、メンバー変更前の承認者束に固定されています。作り直してください";
    "the key was {node}'s, which was decommissioned" = "この鍵は、廃止された {node} のものです";
    "the token names another cluster" = "トークンは別のクラスターのものです";
    "this host has joined as {node}" = "このホストは {node} として参加済みです";
    "the token is for {node}" = "トークンは {node} 用です";
    "it was valid until {until}" = "有効期限は {until} でした";

    // Sites, keys and members.
    "keys are registered for users" = "鍵を登録できるのは利用者だけです";
    "site {site} of {operator}" = "{operator} の拠点 {site}";
    "this role is bound by enrolment" = "この役割は登録により与えられます";
    "this key of {principal} was taken back: make another" =
        "{principal} のこの鍵は失効済みです。別の鍵を作成してください";
    "issuer's signature under the key record" = "鍵の記録に対する発行者の署名";
    "member {id} was removed" = "メンバー {id} は削除済みです";
    "member {id} takes part already" = "メンバー {id} はすでに参加しています";
    "at most {most} members" = "メンバーは {most} 以下です";
    "no voter would be left" = "投票者がいなくなります";
    "{heard} of the {voters} voters-to-be answer" = "変更後の投票者 {voters} のうち {heard} が応答しています";
    "without member {id} members of {have} operator(s) could sign checkpoints, {need} are needed" =
        "メンバー {id} なしでチェックポイントに署名できるのは {have} 事業者で、{need} 必要です";
    "operator {operator} takes part already" = "事業者 {operator} はすでに参加しています";
    "no archivist key is in force" = "有効な archivist の鍵がありません";
    "{site} is no site of {operator}" = "{site} は {operator} の拠点ではありません";
    "no checkpoint is signed by enough operators yet" =
        "十分な数の事業者が署名したチェックポイントがまだありません";

    // The moment.
    "no leader answered in time" = "リーダーから時間内に応答がありませんでした";
    "a connection has at most {most} watches" = "1接続あたりの購読は {most} 件までです";
    "a principal has at most {most} watches" = "1利用者あたりの購読は {most} 件までです";
    "a member has at most {most} watches; ask another one" =
        "1メンバーあたりの購読は {most} 件までです。別のメンバーに問い合わせてください";
    "a member writes at most {most} bundles at a time; ask another one" =
        "1メンバーが同時に書き出すバンドルは {most} 件までです。別のメンバーに問い合わせてください";
    "a member writes at most {most} scheduler snapshots at a time; ask another one" =
        "1メンバーが同時に書き出すスケジューラースナップショットは {most} 件までです。別のメンバーに問い合わせてください";
    "too much is in flight" = "処理中の要求が多すぎます";
    "no scheduler snapshot that this program can read" =
        "このプログラムで読めるスケジューラースナップショットではありません";
    "the scheduler snapshot is damaged" = "スケジューラースナップショットが破損しています";
    "the scheduler snapshot holds no state that this program can read" =
        "スケジューラースナップショットに、このプログラムで読める状態がありません";
    "the outcome is unknown" = "結果が不明です";
    "not answered in time" = "時間内に応答がありませんでした";
    "this member is behind revision {revision}" = "このメンバーはリビジョン {revision} に達していません";
    "an entry of {bytes} bytes is over its bound" = "{bytes} バイトの命令は上限を超えています";
    "member {member} leads" = "メンバー {member} がリーダーです";
    "the revision is of another incarnation" = "リビジョンは別の世代のものです";
    "no method {method}" = "メソッド {method} はありません";
    "trace {trace}" = "トレース {trace}";
}
