//! Codes that say why a job has no place, or a node none for it.

pages! {
    ResidencyOutsideJp:
        met "Whoever names a place outside Japan: an area in a policy, a spec or `sekisho site create`, the area of a host that joins, a member or a landmark. A host that asks to join from abroad is refused before anything about it is stored. An agent answers it to a grant whose area is not Japanese, and starts nothing."
            "日本国外の場所を指定した場合に発生します。対象はポリシー、ジョブ仕様、`sekisho site create` の地域、参加しようとするホストの地域、メンバー、ランドマークです。国外から参加しようとするホストは、何も保存されずに拒否されます。エージェントは日本国外の地域の許可を拒否し、何も起動しません。";
        step "Look at the area that the message names, and write one of Japan: JP, a prefecture, a municipality or its code."
             "メッセージに示された地域を確認し、日本の地域(JP、都道府県、市区町村、またはそのコード)を指定してください。";
        step "Of a job that found no place: `sekisho job explain JOB` shows how many nodes this rule took away."
             "配置先が見つからないジョブでは、`sekisho job explain JOB` でこの規則により除外されたノード数を確認してください。";
        step "There is no exception and no flag for one. A host abroad cannot take part."
             "例外はなく、許可するオプションもありません。国外のホストは参加できません。";
        said "KR-26 is not inside Japan";
    ResidencyArea:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: no node stands inside the areas that the tenant's policy and the job's own rules leave together. Also the message of a running placement whose policy was tightened."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。テナントのポリシーとジョブ自身の規則をあわせた地域の中にノードがありません。ポリシーの変更により、実行中の配置が許可されなくなった場合にも表示されます。";
        step "See which step of the funnel took the last node away: `sekisho job explain JOB`."
             "どの段階で候補がなくなったかを `sekisho job explain JOB` で確認してください。";
        step "See which sites satisfy the policy, and why the others do not: `sekisho residency check POLICY`."
             "どの拠点がポリシーを満たし、ほかの拠点がなぜ満たさないかを `sekisho residency check POLICY` で確認してください。";
        step "Widen `residency.areas` of the job, or have the policy's owner widen it; `sekisho policy plan POLICY` shows the effect first."
             "ジョブの `residency.areas` を広げるか、ポリシーの管理者に広げてもらってください。影響は `sekisho policy plan POLICY` で事前に確認できます。";
        said "東京都 (130001) is in none of the allowed areas";
    ResidencyOperator:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: every node that is left belongs to a company that the policy does not name, or denies. Also a running placement after such a change of the policy."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。残ったノードはすべて、ポリシーが指定していない、または拒否している事業者のものです。ポリシーの変更により、実行中の配置が許可されなくなった場合にも表示されます。";
        step "See the operators of the policy: `sekisho policy get POLICY`; and who runs which site: `sekisho site list`."
             "ポリシーの事業者は `sekisho policy get POLICY`、各拠点の事業者は `sekisho site list` で確認してください。";
        step "Ask for the operator to be added to the policy, or use a site of one that it names."
             "ポリシーに事業者を追加してもらうか、指定された事業者の拠点を使ってください。";
        said "operator hokuto is not allowed";
    ResidencyTier:
        met "Submitters, and operators of a site: the policy wants the country or area proven better than it is, e.g. T3 by measurement, and the node's proof is missing, too old or allows more liars than the policy accepts. `sekisho residency prove` ends with it when the landmarks' answers do not prove Japan."
            "ジョブの提出者と拠点の事業者が遭遇します。ポリシーが要求する国または地域の証明段階(例えば測定によるT3)に対し、ノードの証明がない、古い、または想定する不正ランドマーク数が足りません。測定結果が日本国内であることを証明できない場合、`sekisho residency prove` もこのコードで終了します。";
        step "See how well each node is proven, and since when: `sekisho residency status`."
             "各ノードの証明の状態と時期を `sekisho residency status` で確認してください。";
        step "Measure anew: `sekisho residency prove SITE/NODE`. If it still does not suffice, `sekisho residency coverage` says where another landmark would help most."
             "`sekisho residency prove SITE/NODE` で再測定してください。それでも足りない場合、`sekisho residency coverage` でランドマークの追加が最も有効な場所を確認できます。";
        step "Or lower `country_tier`, `area_tier` or `proof_f` of the policy."
             "または、ポリシーの `country_tier`、`area_tier`、`proof_f` を下げてください。";
        said "the country is established at T1, the policy wants T3";
    NoDevice:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: no node that the rules allow has GPUs of this class, with this memory, so many on one host. Also an agent whose host lost the devices of a grant."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。許可されたノードの中に、この種別・メモリ・台数のGPUを1台のホストに備えたものがありません。許可されたデバイスがホストから失われた場合、エージェントもこのコードで拒否します。";
        step "See what there is: `sekisho node list -o wide`."
             "`sekisho node list -o wide` で利用できるデバイスを確認してください。";
        step "Correct `gpus`, `class` or `memory` of the spec, or split the work into a group of more members with fewer GPUs each."
             "ジョブ仕様の `gpus`、`class`、`memory` を修正するか、1メンバーあたりのGPU数を減らしてグループのメンバー数を増やしてください。";
        step "Try it without submitting: `sekisho job plan FILE`."
             "`sekisho job plan FILE` で、提出せずに確認できます。";
        said "the host had no such devices";
    CapacityFull:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: nodes with such devices exist and are allowed, but too many of their GPUs are in use. Nothing is wrong; the job stays queued and is placed when enough are free."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。適合するノードは存在しますが、GPUが使用中で足りません。異常ではありません。ジョブは待ち行列に残り、空きができると配置されます。";
        step "Wait: `sekisho job submit FILE --wait running` returns when it runs."
             "お待ちください。`sekisho job submit FILE --wait running` は実行が始まると終了します。";
        step "See the cheapest change that would place it sooner: `sekisho job explain JOB`."
             "より早く配置するための最小の変更は `sekisho job explain JOB` で確認できます。";
        said "the devices are charged to others";
    NodeUnavailable:
        met "Submitters, when every suitable node is cordoned or its agent is silent; readers of `sekisho job logs` and callers of `sekisho residency prove`, when the node's agent is attached to no member that answers."
            "適合するノードがすべて閉鎖中または応答なしの場合に、ジョブの提出者が遭遇します。また、ノードのエージェントがどのメンバーにも接続していない場合に、`sekisho job logs` と `sekisho residency prove` で発生します。";
        step "See the state of the nodes and how long they have been silent: `sekisho node list`."
             "ノードの状態と応答のない時間を `sekisho node list` で確認してください。";
        step "A cordoned node: `sekisho node uncordon SITE/NODE`. A silent one: start its agent on the host and run `sekisho-agent doctor` there."
             "閉鎖中のノードは `sekisho node uncordon SITE/NODE` で解除してください。応答のないノードは、ホスト上でエージェントを起動し、`sekisho-agent doctor` を実行してください。";
        said "the agent of tokyo-1/n-01 is attached to no member that answers";
    QuotaExceeded:
        met "Submitters: the tenant's running jobs of this device class, with this one, would pass its quota; the job waits. `sekisho job submit` is refused with it where the spec says `over_limit: reject`, and when the tenant has as many open jobs as a tenant may have."
            "ジョブの提出者が遭遇します。このデバイス種別で実行中のジョブとあわせて割当枠を超えるため、ジョブは待機します。ジョブ仕様に `over_limit: reject` と書いた場合と、テナントの未完了ジョブ数が上限に達した場合は、`sekisho job submit` がこのコードで拒否されます。";
        step "See limit, use and what may be borrowed: `sekisho quota status`. See what holds it: `sekisho job list`."
             "上限・使用量・借用は `sekisho quota status`、使用中のジョブは `sekisho job list` で確認してください。";
        step "Wait for a job to end, or end one: `sekisho job cancel JOB`."
             "ジョブの終了を待つか、`sekisho job cancel JOB` で終了させてください。";
        step "Or ask for more: `sekisho quota set TENANT CLASS LIMIT`, which federation-admins of two operators sign."
             "または `sekisho quota set TENANT CLASS LIMIT` で増やしてもらってください。2事業者の連合管理者の署名が必要です。";
        said "sapporo has room for 2 h100, the job needs 4";
    QuotaNone:
        met "Submitters: the tenant has no quota for this device class, or one that is smaller than this job alone. Waiting does not help, so `sekisho job submit` refuses at once, and `sekisho job plan` ends with exit 11."
            "ジョブの提出者が遭遇します。このデバイス種別の割当枠がないか、このジョブ単独の必要数より小さい枠しかありません。待っても解決しないため、`sekisho job submit` は直ちに拒否し、`sekisho job plan` は終了コード11で終わります。";
        step "See the tenant's limits: `sekisho quota list`."
             "テナントの上限を `sekisho quota list` で確認してください。";
        step "Have one set: `sekisho quota set TENANT CLASS LIMIT`. Federation-admins of two operators sign it."
             "`sekisho quota set TENANT CLASS LIMIT` で設定してもらってください。2事業者の連合管理者の署名が必要です。";
        step "Or ask for a class that the tenant has, or for fewer GPUs."
             "または、割当枠のある種別を指定するか、GPU数を減らしてください。";
        said "sapporo may hold 8 h100, the job needs 16";
    NodeDraining:
        met "Submitters whose suitable nodes are all being drained: nothing new comes to them. Operators who cordon or approve such a node meet WRONG_PHASE instead."
            "適合するノードがすべて退避中の場合に、ジョブの提出者が遭遇します。退避中のノードには新しいジョブは配置されません。";
        step "See the drains, their deadlines and what is left: `sekisho node list`, `sekisho node drain SITE/NODE --monitor`."
             "退避の状況・期限・残りは `sekisho node list` と `sekisho node drain SITE/NODE --monitor` で確認できます。";
        step "Wait until the work is done, or call it off: `sekisho node undrain SITE/NODE`."
             "作業の終了を待つか、`sekisho node undrain SITE/NODE` で退避を取り消してください。";
        said "tokyo-1/n-01 is being drained";
    NodePending:
        met "Submitters whose suitable nodes have joined and were not approved yet. The node's agent meets it when it asks for its site's key."
            "適合するノードが参加済みで承認待ちの場合に、ジョブの提出者が遭遇します。ノードのエージェントは、拠点の鍵を要求したときに遭遇します。";
        step "The operator lists what waits, with the keys: `sekisho node list --pending`."
             "事業者は `sekisho node list --pending` で承認待ちのノードと鍵を確認してください。";
        step "Compare the fingerprint with what the host itself shows, then `sekisho node approve SITE/NODE --key FINGERPRINT`."
             "ホスト自身が表示する指紋と照合し、`sekisho node approve SITE/NODE --key FINGERPRINT` で承認してください。";
        step "For the next host, a token made with `sekisho node token create SITE/NODE --approved` needs no second step."
             "次のホストでは、`sekisho node token create SITE/NODE --approved` で作ったトークンを使うと、この手順は不要です。";
        said "tokyo-1/n-01 is not approved";
    NodeUnfit:
        met "Submitters whose suitable nodes found a fault in their own checks: a device that does not answer, a driver that is missing, a disk that is full."
            "適合するノードが自己点検で異常を検出した場合(デバイスが応答しない、ドライバーがない、ディスクが一杯など)に、ジョブの提出者が遭遇します。";
        step "See what the node found: `sekisho node get SITE/NODE`."
             "`sekisho node get SITE/NODE` で検出された内容を確認してください。";
        step "On the host, `sekisho-agent doctor` says the same with what to do about each finding. The node takes placements again by itself once the checks pass."
             "ホスト上で `sekisho-agent doctor` を実行すると、各項目の対処方法も表示されます。点検に合格すると、ノードは自動的に配置を受け付けます。";
        said "tokyo-1/n-01 does not pass its own checks";
    TagExpired:
        met "Submitters, and operators of a node: the signed statement of its operator about where the node stands has run out. The agent renews it in time while it reaches a member of its own operator; so either it does not, or its clock is wrong."
            "ジョブの提出者とノードの事業者が遭遇します。ノードの場所に関する事業者の署名済み証明の期限が切れています。エージェントは自社のメンバーに接続できる限り自動で更新するため、接続できないか、時計がずれています。";
        step "See until when the tag holds: `sekisho node get SITE/NODE`."
             "タグの期限を `sekisho node get SITE/NODE` で確認してください。";
        step "See that a member of the node's own operator answers: `sekisho member list`; and that the host's clock is right: `sekisho-agent doctor`."
             "ノードの事業者のメンバーが応答しているか `sekisho member list` で、ホストの時計が正しいか `sekisho-agent doctor` で確認してください。";
        step "If it was away for longer than its certificate holds, let it join anew with a token: `sekisho node token create SITE/NODE`."
             "証明書の有効期間より長く停止していた場合は、`sekisho node token create SITE/NODE` のトークンで再参加させてください。";
        said "expired at 2026-07-01T00:00:00Z";
    NodeQuarantined:
        met "Both hosts that claim to be one node, at whatever they ask; submitters whose suitable nodes are all in that state. It follows a copied disk or virtual machine: two agents with one key. Both stop their jobs within the lease."
            "同じノードを名乗る2台のホストが、あらゆる要求に対して受け取ります。適合するノードがすべて隔離中の場合は、ジョブの提出者も遭遇します。ディスクや仮想マシンを複製し、同じ鍵を持つエージェントが2つになった場合に起こります。両方ともリース期間内にジョブを停止します。";
        step "See what was seen of the two: `sekisho node get SITE/NODE`."
             "検出内容を `sekisho node get SITE/NODE` で確認してください。";
        step "Take the copy off the network for good, and empty its data directory."
             "複製をネットワークから完全に切り離し、データディレクトリを消去してください。";
        step "Then end the quarantine: `sekisho node release SITE/NODE --yes`. If you cannot tell which one is the copy: `sekisho node revoke SITE/NODE --yes`."
             "その後 `sekisho node release SITE/NODE --yes` で隔離を解除してください。どちらが複製か判断できない場合は `sekisho node revoke SITE/NODE --yes` で失効させてください。";
        said "two hosts claim to be tokyo-1/n-01";
    TurnOfAnother:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: nodes, quotas, budgets and offers admit the job, but jobs of a higher priority, or of tenants whose turn is first, take what is left of them. Nothing is wrong; its turn comes."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。ノード・割当枠・予算・提供の条件は満たしていますが、優先度の高いジョブや、先に順番が来るテナントのジョブが残りを使います。異常ではなく、順番が来れば配置されます。";
        step "See how many are before it, and when it starts at the latest: `sekisho job explain JOB`."
             "先行するジョブの数と、遅くともいつ始まるかを `sekisho job explain JOB` で確認してください。";
        step "See what your tenant has used of its due: `sekisho quota status`. Turns go to whoever has used least lately."
             "`sekisho quota status` でテナントの使用状況を確認してください。最近の使用が最も少ないテナントから順番が来ます。";
        step "Ask for less, or for a shorter time: what fits beside the others passes them."
             "要求量または時間制限を減らしてください。他のジョブの脇に収まるものは追い越せます。";
        said "3 jobs of osaka come first";
    RoomKept:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: there is room now, but it is kept for a larger job that came first and can start soon, and this one would still run then."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。現在は空いていますが、先に来て間もなく開始できる大きなジョブのために確保されており、このジョブはその時点でまだ実行中になります。";
        step "Shorten `time_limit`, so that it ends before: `sekisho job explain JOB` says to how many seconds."
             "先に終わるように `time_limit` を短くしてください。秒数は `sekisho job explain JOB` が示します。";
        step "Or wait: it starts when the other one has ended, or leaves enough."
             "または、お待ちください。そのジョブが終わるか、十分な空きが残ると始まります。";
        said "2 nodes are kept until 2026-12-01T00:00:00.000Z";
    RoomInMaking:
        met "Submitters, in `sekisho job explain`: the job has a higher priority, or its tenant lent what others use, so jobs were ordered to stop for it. What they give back reaches nobody else."
            "ジョブの提出者が `sekisho job explain` で遭遇します。優先度が高いか、テナントが貸した枠を他が使用しているため、他のジョブに停止が指示されています。空いた場所は他には渡りません。";
        step "Wait: it is placed when the last of them is confirmed dead. `sekisho job status JOB` looks at it."
             "お待ちください。最後の停止が確認されると配置されます。`sekisho job status JOB` で確認できます。";
        said "2 job(s) are being moved to make room";
}
