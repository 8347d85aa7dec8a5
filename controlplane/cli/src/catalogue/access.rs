//! Codes that say who may not, whose signature is missing, and of which federation something is.

pages! {
    Unauthenticated:
        met "Every command whose certificate is missing, has ended or is of no root that the federation trusts; an agent or landmark in the same position; a watch that outlives its certificate. People's certificates hold twelve hours."
            "証明書がない、期限が切れている、または連合が信頼するルートのものでない場合に、すべてのコマンドで発生します。エージェントとランドマークも同様です。証明書の期限を過ぎた購読も終了します。利用者の証明書の有効期間は12時間です。";
        step "See whose it is and until when: `sekisho pki show`."
             "`sekisho pki show` で主体と期限を確認してください。";
        step "Make a fresh one: `sekisho pki renew DIR --user NAME`."
             "`sekisho pki renew DIR --user NAME` で更新してください。";
        step "A host: `sekisho-agent doctor`; if it never joined, `sekisho-agent join`."
             "ホストでは `sekisho-agent doctor` を実行してください。未参加の場合は `sekisho-agent join` を実行してください。";
        step "If a root was replaced while you were away: `sekisho operator trust --genesis FILE --write`."
             "不在の間にルートが交換された場合は `sekisho operator trust --genesis FILE --write` を実行してください。";
        said "the certificate has ended";
    PermissionDenied:
        met "Whoever may see a thing and may not do this to it. Roles and what they may do are one table; who may not even read a resource gets NOT_FOUND. Hosts meet it when no node is enrolled with their certificate, or when they ask a member of another operator to issue to them."
            "対象を閲覧できても、その操作を許可されていない場合に発生します。役割と権限は1つの表で定められています。閲覧権限もない場合は NOT_FOUND になります。ホストは、その証明書のノードが登録されていない場合や、他社のメンバーに証明書の発行を求めた場合に遭遇します。";
        step "See which roles your keys have: `sekisho key list`."
             "自分の鍵の役割を `sekisho key list` で確認してください。";
        step "Ask whoever has the role, e.g. an operator-admin of the site's own operator for its nodes, two federation-admins for quotas and policies."
             "権限を持つ人に依頼してください。例えば、ノードはその拠点の事業者の管理者、割当枠とポリシーは2事業者の連合管理者です。";
        step "The refusal is counted and logged by the member that gave it, with your name."
             "拒否は、応答したメンバーで主体名とともに記録されます。";
        said "kanto/user/aoki may not SetQuota here";
    KeyUnknown:
        met "Whoever signs with a key that the federation does not list, that has expired or was revoked, or that is another person's."
            "連合に登録されていない、期限切れ、失効済み、または別の主体の鍵で署名した場合に発生します。";
        step "See the registered keys and until when they hold: `sekisho key list`."
             "登録済みの鍵と期限を `sekisho key list` で確認してください。";
        step "Have your operator's issuer register yours: `sekisho key register PRINCIPAL --role ROLE --public-key KEY --issuer-key FILE`."
             "事業者の発行者に `sekisho key register PRINCIPAL --role ROLE --public-key KEY --issuer-key FILE` で登録してもらってください。";
        said "kanto/user/aoki has no such key in force";
    SignatureInvalid:
        met "Whoever sends a signature that does not fit: over another command, another cluster or incarnation, or by another key than the one named. Also agents, about a delivery that somebody altered."
            "署名が一致しない場合に発生します。別の命令、別のクラスターや世代に対する署名、または示された鍵以外による署名です。改変された配信を受け取ったエージェントも報告します。";
        step "Check that context and key belong together: `sekisho pki show`."
             "コンテキストと鍵の組み合わせを `sekisho pki show` で確認してください。";
        step "If a key was rotated meanwhile, sign again with the new one. Of a change in a file, have it prepared anew: `sekisho operator prepare`."
             "その間に鍵が交換された場合は、新しい鍵で署名し直してください。ファイルによる変更の場合は `sekisho operator prepare` で作り直してください。";
        step "If nothing of that holds, somebody altered it on the way: keep it and tell the operators."
             "いずれにも当てはまらない場合は、途中で改変されています。保管し、事業者に知らせてください。";
        said "signature of kanto/user/aoki";
    SignaturesMissing:
        met "Administrators: quotas, policies, sites, tenants' changes and members need federation-admins of two operators; a change of companies or keys needs the issuers of k of them. Also a context that has no signing key."
            "管理者が遭遇します。割当枠、ポリシー、拠点、テナントの変更、メンバーの変更には2事業者の連合管理者の署名が、事業者や鍵の変更にはk事業者の発行者の署名が必要です。署名鍵のないコンテキストでも発生します。";
        step "Of a change in a file, send the file around: each operator runs `sekisho operator sign FILE --operator-dir DIR --fingerprint HEX`."
             "ファイルによる変更は、ファイルを各事業者に渡し、`sekisho operator sign FILE --operator-dir DIR --fingerprint HEX` で署名してもらってください。";
        step "In a federation of `sekisho dev`: `--cosign NAME` signs as another operator too."
             "`sekisho dev` の連合では、`--cosign NAME` で別の事業者としても署名できます。";
        said "SetQuota needs the caller's signature and 2 operator(s), has 1";
    WrongCluster:
        met "Whoever mixes two federations: a context, token, backup, trust package or agreement of another cluster or of an earlier incarnation; an agent that gets another cluster's grants and starts none of them."
            "2つの連合を取り違えた場合に発生します。別のクラスターや以前の世代のコンテキスト、トークン、バックアップ、信頼パッケージ、合意書です。エージェントが別のクラスターの許可を受け取った場合も報告し、何も起動しません。";
        step "See which cluster the context is of: `sekisho pki show`, `sekisho status`."
             "コンテキストのクラスターを `sekisho pki show` と `sekisho status` で確認してください。";
        step "Use the file that this federation made; ask its operators for the cluster's id over a second channel."
             "この連合が作成したファイルを使ってください。クラスターIDは別の経路で事業者に確認してください。";
        said "the token names another cluster";
    OperatorUnknown:
        met "Administrators who name a company that does not take part: `sekisho site create --operator`, `sekisho key register`, a policy's operators, a landmark; agents, about a tag of a company that left."
            "連合に参加していない事業者を指定した場合に発生します。`sekisho site create --operator`、`sekisho key register`、ポリシーの事業者、ランドマークなどです。脱退した事業者のタグについて、エージェントも報告します。";
        step "See who takes part: `sekisho operator list`."
             "参加している事業者を `sekisho operator list` で確認してください。";
        step "A new company comes in by an agreement of the others: `sekisho operator prepare`, `sekisho operator sign`, `sekisho operator add`."
             "新しい事業者は、ほかの事業者の合意により参加します(`sekisho operator prepare`、`sekisho operator sign`、`sekisho operator add`)。";
        said "nankai";
    SnapshotDestination:
        met "`sekisho snapshot save`: whoever may take backups, for a site that is not registered, was revoked, or is another company's. A backup leaves a controller for a site of its own operator in Japan only (D3)."
            "`sekisho snapshot save` で、バックアップの送り先の拠点が未登録、失効済み、または他社のものである場合に発生します。バックアップは、日本国内にある自社の拠点にしか送れません(D3)。";
        step "See the sites: `sekisho site list`. See your role: `sekisho key list`."
             "拠点は `sekisho site list`、自分の役割は `sekisho key list` で確認してください。";
        step "Have a key registered as archivist of a site of your own operator: `sekisho key register PRINCIPAL --role archivist:SITE --public-key KEY --issuer-key FILE`."
             "自社の拠点の archivist として鍵を登録してもらってください(`sekisho key register PRINCIPAL --role archivist:SITE --public-key KEY --issuer-key FILE`)。";
        said "sakai-1 is no site of kanto";
    KeyInUse:
        met "`sekisho operator rotate`, at the end of a rotation: certificates, tags or payloads still stand on the key that would be given up. Most renew by themselves within a day."
            "`sekisho operator rotate` による鍵交換の完了時に発生します。廃止する鍵を使う証明書、タグ、ペイロードが残っています。多くは1日以内に自動で更新されます。";
        step "Wait until the time that the message names; then send the same file again."
             "メッセージに示された時刻まで待ち、同じファイルを再度送ってください。";
        step "What does not renew: see `sekisho node list` and start the agent, or revoke the node."
             "更新されないものは `sekisho node list` で確認し、エージェントを起動するか、ノードを失効させてください。";
        step "If the old key was stolen, waiting is worse than losing the rest: prepare the end with `--accept-stranded`."
             "古い鍵が盗まれた場合は、待つほうが危険です。`--accept-stranded` を付けて完了を準備してください。";
        said "node tokyo-1/n-01 and 3 more stand on an old key of it";
    OperatorInUse:
        met "`sekisho operator remove`: the company that would leave still has a controller, a site that was not revoked, or work that runs."
            "`sekisho operator remove` で、脱退する事業者のコントローラー、失効していない拠点、または実行中のジョブが残っている場合に発生します。";
        step "Remove its controllers: `sekisho member remove MEMBER FILE`."
             "コントローラーを `sekisho member remove MEMBER FILE` で取り除いてください。";
        step "Drain its nodes: `sekisho node drain SITE/NODE`; then revoke its sites: `sekisho site revoke SITE`."
             "ノードを `sekisho node drain SITE/NODE` で退避し、拠点を `sekisho site revoke SITE` で失効させてください。";
        step "Send the agreement again: `sekisho operator remove FILE`."
             "`sekisho operator remove FILE` で合意書を再度送ってください。";
        said "site sakai-1 and 2 more are left: revoke it";
    IncarnationQuorum:
        met "`sekisho member recover` and `sekisho snapshot restore`, by the controllers that would open a new incarnation: those who did not agree could still decide in the old one, so there would be two federations."
            "`sekisho member recover` と `sekisho snapshot restore` で新しい世代を開始するときに発生します。合意していない事業者だけで古い世代の決定が可能なため、連合が2つになってしまいます。";
        step "Have more companies bring a founder: `sekisho member founder`."
             "より多くの事業者に `sekisho member founder` で創設メンバーを出してもらってください。";
        step "Or start the old members that still live; `sekisho member list` says whether they can decide."
             "または、残っている古いメンバーを起動してください。決定できるかは `sekisho member list` で確認できます。";
        said "hokuto and naniwa do not sign, and had 3 of 5 votes";
    IncarnationOver:
        met "Agents, commands and controllers that were away while the federation began anew from a backup: what they follow is over, and nothing of it counts any more."
            "連合がバックアップから再開した間に不在だったエージェント、コマンド、コントローラーが受け取ります。従っていた世代は終了しており、もう有効ではありません。";
        step "A host: get a package from an operator (`sekisho member package FILE`) and run `sekisho-agent accept FILE --config FILE`."
             "ホストでは、事業者からパッケージ(`sekisho member package FILE`)を受け取り、`sekisho-agent accept FILE --config FILE` を実行してください。";
        step "A person: `sekisho operator trust --genesis FILE --write`."
             "利用者は `sekisho operator trust --genesis FILE --write` を実行してください。";
        step "An old controller: `sekisho-controller retire`."
             "古いコントローラーでは `sekisho-controller retire` を実行してください。";
        said "incarnation 2 is in force, it was signed for 1";
    SnapshotMismatch:
        met "`sekisho snapshot inspect`, `sekisho snapshot restore` and `sekisho member recover`: the state in the backup is not what its own audit records give when they are replayed. A founder refuses to open on it."
            "`sekisho snapshot inspect`、`sekisho snapshot restore`、`sekisho member recover` で発生します。バックアップの状態が、そこに含まれる監査記録の再現結果と一致しません。創設メンバーはこのバックアップからは開始しません。";
        step "Do not restore from it. Keep it: it is evidence of a fault or of an alteration."
             "このバックアップからは復元しないでください。障害または改変の証拠として保管してください。";
        step "Take another one and look into it first: `sekisho snapshot inspect FILE --identity FILE`."
             "別のバックアップを使い、先に `sekisho snapshot inspect FILE --identity FILE` で確認してください。";
        said "backup.sks: the image has another digest than the records";
    BundleMismatch:
        met "Hosts that join, agents, founders and signers: the list of companies and keys (the endorser bundle) that they were shown is neither the one they pinned nor reached from it by signed steps. It may be old, of another federation, or false."
            "参加するホスト、エージェント、創設メンバー、署名者が遭遇します。提示された事業者と鍵の一覧(承認者束)が、固定したものとも、そこから署名された手順でたどれるものとも異なります。古いか、別の連合のものか、偽物です。";
        step "Do not go on. Ask your operator for the fingerprint over a second channel, and compare: `sekisho operator trust --genesis FILE`."
             "先に進まず、別の経路で事業者に指紋を確認し、`sekisho operator trust --genesis FILE` の表示と照合してください。";
        step "A token from before a change of members: make a new one, `sekisho node token create SITE/NODE`."
             "メンバー変更前のトークンの場合は、`sekisho node token create SITE/NODE` で作り直してください。";
        step "A host that was away for long: `sekisho-agent accept FILE --config FILE` with a package from an operator."
             "長く停止していたホストでは、事業者のパッケージを使って `sekisho-agent accept FILE --config FILE` を実行してください。";
        said "the members have changed since the token was made: make a new one";
}
