//! Codes about approvals, emergency rights and logins.

pages! {
    ApprovalClosed:
        met "Whoever signs or refuses an approval that somebody else decided first, that was refused or withdrawn, or whose time is over. Nothing of it takes effect any more."
            "ほかの人が先に決定したか、拒否・取り下げられたか、期限を過ぎた承認に署名または拒否しようとした場合に発生します。その変更はもう有効になりません。";
        step "See what became of it, and by whom: `sekisho approval get APPROVAL`."
             "結果と関与した人を `sekisho approval get APPROVAL` で確認してください。";
        step "If the change is still wanted, run its own command again: it proposes anew, on what is there today."
             "変更がまだ必要な場合は、元のコマンドを再度実行してください。現在の状態に対して新しく提案されます。";
        said "approval 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a was carried out";
    ApprovalSigned:
        met "Administrators of an operator that has signed an approval already, the proposer's own among them. What takes two operators is never signed twice by one."
            "提案者の事業者を含め、すでに署名した事業者の管理者が署名しようとした場合に発生します。2事業者を要する変更に、1つの事業者が2回署名することはできません。";
        step "See who has signed, and how many are missing: `sekisho approval get APPROVAL`."
             "署名済みの事業者と不足数を `sekisho approval get APPROVAL` で確認してください。";
        step "Have a federation-admin of another operator run `sekisho approval sign APPROVAL --digest HEX`, after comparing what it changes."
             "別の事業者の連合管理者に、変更内容を照合したうえで `sekisho approval sign APPROVAL --digest HEX` を実行してもらってください。";
        said "hokuto has signed";
    AccessFull:
        met "Proposers, when sixteen approvals of their operator wait; and whoever wants to take the emergency right while as many are open as there may be. What is decided makes room at once."
            "自社の待機中の承認が16件ある場合の提案者、または緊急権限の開始数が上限に達している場合に発生します。決定されればすぐに空きができます。";
        step "See what waits: `sekisho approval list`. Sign, or refuse what is not wanted any more: `sekisho approval refuse APPROVAL`."
             "待機中のものを `sekisho approval list` で確認し、署名するか、不要なものは `sekisho approval refuse APPROVAL` で拒否してください。";
        step "See which emergency rights are open: `sekisho break-glass list`; end yours: `sekisho break-glass end NUMBER`."
             "有効な緊急権限を `sekisho break-glass list` で確認し、自分のものは `sekisho break-glass end NUMBER` で終了してください。";
        said "16 approvals of kanto wait";
    LoginTokenInvalid:
        met "Whoever logs in with a token that the operator's controller does not take: signed by another key than the provider's, for another client, too old or of the future, or asked for with other keys than those that are shown. Each is a refusal that stands in the member's journal."
            "事業者のコントローラーがトークンを受け付けない場合に発生します。認証基盤以外の鍵による署名、別のクライアント宛て、古すぎる、未来の時刻、または提示した鍵とは別の鍵で要求されたトークンです。いずれもメンバーの拒否記録に残ります。";
        step "Log in again: `sekisho login`. The token is good for ten minutes, and for the keys of one run."
             "`sekisho login` で再度ログインしてください。トークンは10分間、1回の実行の鍵に対してのみ有効です。";
        step "If it recurs, have the operator compare issuer, client id and key set of the controller's login settings with the provider's, and the clocks of both."
             "繰り返す場合は、コントローラーのログイン設定の発行者・クライアントID・鍵集合と、双方の時計を、認証基盤と照合するよう事業者に依頼してください。";
        said "the token is of another issuer";
    LoginNoRole:
        met "Whoever the identity provider knows and no rule of the operator's settings names: groups and claims that give no role give nothing."
            "認証基盤には登録されていても、事業者の設定のどの規則にも該当しない場合に発生します。役割を与えないグループや属性からは、何も得られません。";
        step "Have the operator put you into a group that has a rule, or add one to the login settings of its controllers."
             "規則のあるグループに加えてもらうか、コントローラーのログイン設定に規則を追加してもらってください。";
        step "The rule's role has to be one that the operator's registrar may give: `sekisho key list` shows it."
             "規則の役割は、事業者の登録者が与えられるものでなければなりません。`sekisho key list` で確認できます。";
        said "no rule fits aoki";
    LoginNotHere:
        met "Whoever logs in through a member that has no login settings, or one of another operator: people are let in by their own company alone."
            "ログイン設定のないメンバー、または別の事業者のメンバーを通じてログインしようとした場合に発生します。利用者は自社だけがログインさせます。";
        step "Name members of your own operator in the context: `sekisho context show`."
             "コンテキストに自社のメンバーが登録されているか `sekisho context show` で確認してください。";
        step "Without an identity provider: `sekisho login --csr-out FILE`, and have your operator sign that request."
             "認証基盤がない場合は `sekisho login --csr-out FILE` で申請ファイルを作り、事業者に署名してもらってください。";
        said "this member has no login settings";
    LoginRefused:
        met "Whoever did not confirm the code in time, confirmed it as somebody who may not, or said no in the browser. Also a client id that the provider does not know."
            "時間内にコードを確認しなかった場合、権限のない利用者として確認した場合、またはブラウザーで拒否した場合に発生します。認証基盤が知らないクライアントIDでも発生します。";
        step "Run `sekisho login` again, open the address that it shows, and compare the code before you confirm it."
             "`sekisho login` を再度実行し、表示されたアドレスを開き、コードを照合してから確認してください。";
        step "If it fails at once, have the operator look at the client id, and that the provider allows the device grant."
             "直ちに失敗する場合は、クライアントIDと、認証基盤がデバイスフローを許可しているかを事業者に確認してもらってください。";
        said "access_denied";
    LoginProvider:
        met "Whoever logs in while the provider's address does not answer, its certificate is of no root that the settings name, its name is asked of no configured resolver, or what it answers is no answer of its kind."
            "認証基盤のアドレスが応答しない、その証明書が設定のルートのものでない、名前を問い合わせるリゾルバーが設定されていない、または応答の形式が正しくない場合に発生します。";
        step "Open the provider's address in a browser from this host."
             "このホストのブラウザーで認証基盤のアドレスを開いてみてください。";
        step "Compare roots and resolvers of the login settings in the context: `sekisho context show`."
             "コンテキストのログイン設定のルート証明書とリゾルバーを `sekisho context show` で確認してください。";
        said "https://login.kanto.example: no answer within 10 s";
    ResourceInUse:
        met "Administrators who delete something that is still referred to: a policy that binds a tenant or an open job, a tenant with open jobs or parts, with GPUs charged to it, or for which somebody holds a key."
            "まだ参照されているものを削除しようとした管理者が遭遇します。テナントや未完了のジョブに適用中のポリシー、未完了のジョブ、部分のテナント、計上中のGPUがあるテナント、またはそのテナントの鍵を持つ人がいる場合です。";
        step "Of a policy: see whom it binds: `sekisho policy status`. Bind them by another one, or end the jobs."
             "ポリシーの場合は、適用先を `sekisho policy status` で確認し、別のポリシーに変更するか、ジョブを終了してください。";
        step "Of a tenant: `sekisho job list --tenant TENANT` and `sekisho job cancel JOB`; keys: `sekisho key list` and `sekisho key revoke PRINCIPAL KEY`."
             "テナントの場合は `sekisho job list --tenant TENANT` と `sekisho job cancel JOB`、鍵は `sekisho key list` と `sekisho key revoke PRINCIPAL KEY` を使ってください。";
        said "policy hokkaido-only binds tenant sapporo";
}
