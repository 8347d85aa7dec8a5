//! Codes that say what is wrong with a request, or with the moment for it.

pages! {
    AreaUnknown:
        met "Whoever names an area by a word that is none of Japan's: in a spec's or policy's `areas`, `sekisho site create --area`, `sekisho residency check --area`, or an agent's configuration."
            "日本に存在しない地域名を指定した場合に発生します。対象はジョブ仕様やポリシーの `areas`、`sekisho site create --area`、`sekisho residency check --area`、エージェントの設定です。";
        step "Use the nearest name that the message suggests, or a code: JP, JP-13, 131016."
             "メッセージに示された近い名前か、コード(JP、JP-13、131016)を使ってください。";
        step "Names work in Japanese and in Latin letters, with their suffix: 札幌市, Sapporo-shi."
             "名前は日本語とローマ字のどちらでも、「市」などを付けて指定できます(札幌市、Sapporo-shi)。";
        said "areas: `Sapparo` is not an area of Japan";
    AreaRetired:
        met "Whoever uses the code of a municipality that was merged into another one: in specs, policies, `sekisho site create` and `sekisho pki init`. A stored policy with such a code lets nothing new be placed by it."
            "合併などで廃止された市区町村のコードを使った場合に発生します。対象はジョブ仕様、ポリシー、`sekisho site create`、`sekisho pki init` です。保存済みのポリシーにこのコードがあると、そのポリシーでは新たな配置ができません。";
        step "Use the successor that the message names. Check that its boundary is still what you mean."
             "メッセージに示された後継コードを使ってください。範囲が意図と合っているかも確認してください。";
        step "A policy: `sekisho policy plan POLICY` with the new code, then `sekisho policy update POLICY`."
             "ポリシーは、新しいコードで `sekisho policy plan POLICY` を確認してから `sekisho policy update POLICY` で変更してください。";
        said "area code 221309 (浜松市) is not valid on 2026-07-01; now: 221384, 221392, 221406";
    AreaAmbiguous:
        met "Whoever names an area by a name that several municipalities have, such as 府中市 or 伊達市: in specs, policies, `sekisho site create`, `sekisho residency check` and `sekisho residency coverage`."
            "複数の市区町村に共通する名前(府中市、伊達市など)を指定した場合に発生します。対象はジョブ仕様、ポリシー、`sekisho site create`、`sekisho residency check`、`sekisho residency coverage` です。";
        step "Write one of the codes that the message lists, or the name with its prefecture: 東京都府中市."
             "メッセージに示されたコードのいずれかか、都道府県名を付けた名前(東京都府中市)を使ってください。";
        said "areas: `府中市` is a name of several areas: 132063, 342084; write the code or the whole name";
    PolicyTier:
        met "Whoever writes a policy or a job's rules with a tier that does not exist or may not stand there, or proof rules that contradict it: `proof_f`, `max_proof_age` or `on_stale_proof` where no proof by measurement is asked."
            "ポリシーやジョブの規則に、存在しない、または設定できない証明段階を書いた場合に発生します。測定による証明を求めていないのに `proof_f`、`max_proof_age`、`on_stale_proof` を書いた場合も同様です。";
        step "Write T1, T2 or T3; proof rules go with T3 only."
             "T1、T2、T3のいずれかを書いてください。証明の規則はT3でのみ使えます。";
        step "Try the rules before they are stored: `sekisho residency check --file FILE`."
             "保存する前に `sekisho residency check --file FILE` で確認できます。";
        said "country_tier: must be T1, T2 or T3";
    InvalidArgument:
        met "Every call: a field that is missing, out of its range or not of its form. The answer lists each wrong field as a violation. Commands meet it for arguments, for files that cannot be read, and where `--yes` is missing."
            "すべての呼び出しで発生します。項目がない、範囲外、または形式が正しくない場合です。応答には誤りのある項目がすべて列挙されます。コマンドの引数、読み取れないファイル、`--yes` の不足でも発生します。";
        step "Correct each field that the message names; the words behind it say what it must be."
             "メッセージに示された項目を修正してください。項目名の後に条件が書かれています。";
        step "The form of a command is in its help, e.g. `sekisho job submit --help`."
             "コマンドの形式は `sekisho job submit --help` などで確認できます。";
        said "spec.group: must be 1 to 1024";
    SpecSyntax:
        met "Whoever gives a file to `sekisho job submit`, `sekisho job plan`, `sekisho policy create` or `sekisho residency check` that is not YAML or JSON: a tab as indentation, a bracket that is not closed, a value where a list belongs. It is found on your machine; nothing was sent."
            "`sekisho job submit`、`sekisho job plan`、`sekisho policy create`、`sekisho residency check` に、YAMLでもJSONでもないファイルを渡した場合に発生します(タブによる字下げ、閉じていない括弧など)。手元で検出され、何も送信されていません。";
        step "Go to the line and column that the message names; the mistake is there or just before."
             "メッセージに示された行・列を確認してください。誤りはその位置か直前にあります。";
        step "Check it without submitting: `sekisho job plan FILE`."
             "`sekisho job plan FILE` で、提出せずに確認できます。";
        said "line 4, column 3: found a tab where indentation is expected";
    SpecUnknownField:
        met "Whoever gives a job spec or a rules file with a field that does not exist, mostly a spelling. It is refused and not ignored, because an ignored `residency` would place a job where it must not be."
            "ジョブ仕様や規則ファイルに存在しない項目がある場合に発生します。多くは綴りの誤りです。無視すると、例えば `residency` の誤記により許可されない場所に配置されるおそれがあるため、拒否します。";
        step "Use the nearest known name that the message gives."
             "メッセージに示された近い名前を使ってください。";
        step "A field of a newer version needs a newer `sekisho`: `sekisho version`."
             "新しい版の項目を使うには、`sekisho` の更新が必要です(`sekisho version` で確認)。";
        said "line 6, column 3: field `residancy` does not exist; did you mean `residency`?";
    TooLarge:
        met "Whoever sends more than a bound: a spec, a payload, a policy with too many areas, a batch, too many signatures, or one message above what a member reads. Commands check files before they send them."
            "上限を超える大きさのものを送った場合に発生します。ジョブ仕様、ペイロード、地域の多すぎるポリシー、一括処理、署名数、またはメンバーが受け取れる上限を超えるメッセージです。コマンドは送信前にファイルを確認します。";
        step "See the bound in the message. Of a payload: move data into the image or a store, and fetch it inside the job."
             "メッセージの上限を確認してください。ペイロードの場合は、データをイメージや保管庫に置き、ジョブの中で取得してください。";
        step "Of a batch: split it; each part is whole or not at all."
             "一括処理の場合は分割してください。分割した各部分は、全体が成功するか、何も行われないかのどちらかです。";
        said "payload: must be at most 65536 bytes";
    SecretRefused:
        met "Submitters whose command line or environment holds what looks like a key, a token or a password in a payload that every member could read. `sekisho job submit` finds it before sending; the server checks again."
            "全メンバーが読めるペイロードのコマンドや環境変数に、鍵・トークン・パスワードらしきものが含まれている場合に、ジョブの提出者が遭遇します。`sekisho job submit` が送信前に検出し、サーバーも再度確認します。";
        step "Have it sealed to the sites that may run it: write `payload: sealed` in the spec."
             "ジョブ仕様に `payload: sealed` と書き、実行できる拠点だけが開けるように封緘してください。";
        step "Or take the secret out, and let the job fetch it from a store of your own."
             "または秘密情報を取り除き、ジョブの中で自分の保管庫から取得してください。";
        step "If it is none: rename the variable, so that the next reader does not wonder either."
             "秘密情報でない場合は、誤解を避けるために変数名を変えてください。";
        said "run.env.AWS_SECRET_ACCESS_KEY looks like a secret";
    NotFound:
        met "Every call that names a resource. The answer is the same whether it does not exist or you may not read it: who may not know of a tenant, a job or a site learns nothing from the answer. Commands also meet it for a contexts file or a context that is not there."
            "リソースを名指しするすべての呼び出しで発生します。存在しない場合も、閲覧権限がない場合も、応答は同じです。権限のない人が、テナント・ジョブ・拠点の有無を応答から知ることはできません。コンテキストファイルやコンテキストがない場合にも発生します。";
        step "Check the spelling with the list: `sekisho job list`, `sekisho node list`, `sekisho tenant list`."
             "一覧(`sekisho job list`、`sekisho node list`、`sekisho tenant list`)で綴りを確認してください。";
        step "Check who you are: `sekisho pki show`. In another context: `--context NAME`."
             "`sekisho pki show` で自分の主体を確認してください。別のコンテキストは `--context NAME` で指定します。";
        step "What has ended is kept for a while and then only in the audit log: `sekisho audit show`."
             "終了したものは一定期間の後、監査ログにのみ残ります(`sekisho audit show`)。";
        said "tenants/sapporo/jobs/train does not exist, or you may not see it";
    AlreadyExists:
        met "Whoever creates something under a name that is taken: a job, site, tenant, policy, landmark, member, key; on a host, a second agent in one data directory, or a second `sekisho dev` in one folder. Files are never overwritten either."
            "使用中の名前で作成した場合に発生します。対象はジョブ、拠点、テナント、ポリシー、ランドマーク、メンバー、鍵です。同じデータディレクトリで2つ目のエージェントを起動した場合や、同じフォルダーで2つ目の `sekisho dev` を起動した場合も同様です。既存のファイルも上書きしません。";
        step "If you only repeat a command whose answer got lost, give the same id: `--request-id ID`. Then the first answer is given again."
             "応答を受け取れなかったコマンドの再実行であれば、同じ `--request-id ID` を指定してください。最初の応答が返されます。";
        step "Otherwise choose another name, or read what is there: `sekisho job status JOB`."
             "それ以外の場合は別の名前を選ぶか、既存の対象を確認してください(`sekisho job status JOB` など)。";
        said "job sapporo/train exists";
    RevisionMismatch:
        met "Whoever updates a tenant, policy or quota with the etag of an older reading: somebody changed it meanwhile. `sekisho` reads the etag before each update, so two administrators did it in the same moment."
            "古い etag でテナント・ポリシー・割当枠を更新した場合に発生します。その間に別の人が変更しました。`sekisho` は更新の直前に etag を読むため、2人の管理者が同時に操作したことになります。";
        step "Read it again and see what the other one changed: `sekisho policy get POLICY`."
             "`sekisho policy get POLICY` などで読み直し、変更内容を確認してください。";
        step "Repeat the command if it is still what you want."
             "それでも必要であれば、コマンドを再実行してください。";
        said "policy hokkaido is at revision 4711 now";
    PlanMoved:
        met "Whoever submits with `--if-plan`, or with `if_plan` in the request: since the plan something has changed, so that the job would wait, or never be placed, where it was planned better. Nothing was submitted."
            "`--if-plan`(リクエストでは `if_plan`)を付けて提出した場合に発生します。計画の後に状況が変わり、計画より悪い結果(待機、または配置不可)になります。ジョブは受け付けていません。";
        step "Plan it again, and see why: `sekisho job plan FILE`."
             "`sekisho job plan FILE` で計画し直し、理由を確認してください。";
        step "Submit it with the plan that this prints, or without `--if-plan` if it may wait."
             "表示された計画で提出するか、待機してもよければ `--if-plan` なしで提出してください。";
        said "at revision 4711: placed now; at revision 4720: would wait, QUOTA_EXCEEDED";
    RequestIdReused:
        met "Callers that give the request id of an earlier command with another content. Ids are remembered for a while, so that repeating a command is harmless; so an id stands for one command only."
            "以前の命令のリクエストIDを、別の内容に使った場合に発生します。再実行を安全にするためIDは一定期間記憶されており、1つのIDは1つの命令だけを表します。";
        step "Leave `--request-id` out: each command then has a fresh one."
             "`--request-id` を省略してください。命令ごとに新しいIDが使われます。";
        step "In your own client: a new id for each intention, the same id for each repetition."
             "自作のクライアントでは、操作ごとに新しいIDを、再試行では同じIDを使ってください。";
        said "request 3f0c… was used for another command";
    WrongPhase:
        met "Whoever asks for what the state of a thing does not allow: to cancel a job that is over, to decommission a node in service, to undrain one that is not drained, to finish a rotation that was not begun. `sekisho job submit --wait` ends with it when the job ended before it reached the phase."
            "対象の状態では許されない操作をした場合に発生します(終了したジョブの取り消し、稼働中のノードの廃止、退避中でないノードの退避取り消し、開始していない鍵交換の完了など)。`sekisho job submit --wait` は、指定した状態になる前にジョブが終わるとこのコードで終了します。";
        step "See the state: `sekisho job status JOB`, `sekisho node get SITE/NODE`."
             "`sekisho job status JOB` や `sekisho node get SITE/NODE` で状態を確認してください。";
        step "Do first what the message names, e.g. `sekisho node drain SITE/NODE`."
             "メッセージに示された操作(例: `sekisho node drain SITE/NODE`)を先に行ってください。";
        said "tokyo-1/n-01 is in service: drain or revoke it first";
    FeatureLevel:
        met "Administrators who use a command that came with a newer version while the federation still runs at the level of an older one, who would lower the level, and readers of a payload in a newer form."
            "連合がまだ古い版の機能レベルで動作しているときに新しい版の命令を使った場合、機能レベルを下げようとした場合、または新しい形式のペイロードを読もうとした場合に発生します。";
        step "See the version that each member runs: `sekisho-controller --version` on its machine."
             "各メンバーのマシンで `sekisho-controller --version` を実行し、版を確認してください。";
        step "Upgrade every member; the level is raised when all of them know it, and never lowered."
             "全メンバーを更新してください。機能レベルは全メンバーが対応してから上がり、下げることはできません。";
        said "level 1 is in force";
    MethodUnknown:
        met "Clients that are newer than the member they talk to, or that name a service or method that does not exist; also a caller without a certificate, for whom only joining exists."
            "接続先のメンバーより新しいクライアント、または存在しないサービスやメソッドを指定したクライアントが受け取ります。証明書のない呼び出し元には参加用のサービスしか存在しないため、同じ応答になります。";
        step "Compare versions: `sekisho version`, and `sekisho-controller --version` on the member."
             "`sekisho version` とメンバーの `sekisho-controller --version` で版を比べてください。";
        step "In your own client, ask the server by reflection what it serves, with your certificate."
             "自作のクライアントでは、証明書を使ってリフレクションで提供されるサービスを確認してください。";
        said "no method /sekisho.v1.JobService/Rename";
    RevisionCompacted:
        met "Readers of the event stream that were away for longer than changes are kept, or whose revision is of an earlier incarnation. Commands that look on, such as `sekisho node drain --monitor`, list again by themselves; partners' clients have to."
            "変更の保持期間より長く切断していた、または以前の世代のリビジョンを使ったイベント購読者が受け取ります。`sekisho node drain --monitor` などは自動的に一覧を取り直します。自作のクライアントでは対応が必要です。";
        step "List the resources again; the answer carries a revision."
             "リソースの一覧を取り直してください。応答にリビジョンが含まれます。";
        step "Watch from that revision on. `metadata.first` of the error is the oldest one that is still kept."
             "そのリビジョンから購読を再開してください。エラーの `metadata.first` が、保持されている最も古いリビジョンです。";
        said "changes before revision 90210 are not kept";
}
