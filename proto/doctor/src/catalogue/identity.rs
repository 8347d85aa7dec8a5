//! Checks of the own certificate and of those that it is judged by.

checks! {
    CERTIFICATE = "certificate",
        "The own certificate: whom it names, from when until when, and that the key is its own.",
        "自分の証明書が誰を名指し、いつまで有効で、鍵が対応しているか。" => {
        CERTIFICATE_SOUND = Ok,
            "{subject}, until {until}: {left} left",
            "{subject}、{until} まで。残り {left}";
        CERTIFICATE_ENDS = Warning,
            "{subject} ends at {until}: {left} left, a renewal is overdue",
            "{subject} は {until} に切れます。残り {left}。更新が遅れています"
            => "An agent renews by itself while it runs and reaches a member with an issuer; a controller gets a new one by hand.",
            "エージェントは稼働中に発行者を持つメンバーに届けば自動で更新します。コントローラーは手動で更新します。",
            "sekisho pki renew OPERATOR_DIR --member N=ADDRESS --site SITE";
        CERTIFICATE_OVER = Failure,
            "{subject} has ended at {until}",
            "{subject} は {until} に切れました"
            => "Nobody accepts it any more. A controller gets a new one by hand; an agent joins anew with a new token.",
            "もう受け入れられません。コントローラーは手動で更新し、エージェントは新しいトークンで参加し直します。",
            "sekisho pki renew OPERATOR_DIR --member N=ADDRESS --site SITE";
        CERTIFICATE_EARLY = Failure,
            "{subject} is valid from {from} on only",
            "{subject} は {from} から有効です"
            => "This host's clock is behind, or the issuer's is ahead.",
            "この機械の時計が遅れているか、発行者の時計が進んでいます。", "timedatectl status";
        CERTIFICATE_BAD = Failure,
            "{cause}",
            "{cause}"
            => "Put certificate and key of one and the same renewal in place.",
            "同じ更新で作られた証明書と鍵の組を置いてください。", "";
        CERTIFICATE_STRANGE = Failure,
            "the certificate names {subject}, the settings {expected}",
            "証明書は {subject}、設定は {expected} を名指しています"
            => "Bring this host its own certificate, or correct the settings.",
            "この機械の証明書を置くか、設定を直してください。", "";
        KEY_SHOWN = Failure,
            "{path}: mode {mode}, so that others can read the key",
            "{path}: モード {mode}。他人が鍵を読めます"
            => "Take that away. If anybody else can log in here the key is known: have it replaced.",
            "読み取りを禁じてください。他人がログインできるなら鍵は知られています。取り替えてください。", "chmod 600 {path}";
        CERTIFICATE_NONE = Skipped,
            "there is none yet",
            "まだありません";
    }
    CHAIN = "chain",
        "The certificate's chain leads to a root that the federation knows, judged as every other end judges it.",
        "証明書のチェーンが、連合の知るルートに至るか。相手と同じ方法で判定します。" => {
        CHAIN_SOUND = Ok,
            "leads to a root of {operator}, endorser bundle version {version}",
            "{operator} のルートに至ります。承認者束の版は {version}";
        CHAIN_REFUSED = Failure,
            "others refuse it: {cause}",
            "相手に拒否されます: {cause}"
            => "If the company has replaced its root, renew the certificate and take the trust package; if it ended, renew it.",
            "事業者がルートを替えたなら、証明書を更新し信頼パッケージを取り込んでください。期限切れなら更新してください。",
            "sekisho member package FILE";
        CHAIN_UNKNOWN = Skipped,
            "there is nothing to judge",
            "判定するものがありません";
    }
    ROOTS = "roots",
        "The companies' root certificates that others are judged by, and when they end.",
        "相手を判定する各社のルート証明書と、その期限。" => {
        ROOTS_SOUND = Ok,
            "{count} roots, the first one ({operator}) ends at {until}",
            "ルート {count} 件。最初に切れるのは {operator} の {until}";
        ROOT_ENDS = Warning,
            "a root of {operator} ends at {until}: {left} left",
            "{operator} のルートは {until} に切れます。残り {left}"
            => "The company replaces its root in a ceremony: docs/runbooks/operator.md.",
            "事業者が式典でルートを替えます: docs/runbooks/operator.md。",
            "sekisho operator prepare --help";
        ROOT_OVER = Failure,
            "a root of {operator} has ended at {until}",
            "{operator} のルートは {until} に切れました"
            => "Nothing of this company is accepted any more; it replaces its root: docs/runbooks/operator.md.",
            "この事業者は受け入れられません。ルートを替える必要があります: docs/runbooks/operator.md。",
            "sekisho operator prepare --help";
        ROOTS_BAD = Failure,
            "the roots cannot be used: {cause}",
            "ルートが使えません: {cause}"
            => "The files that name them are damaged or of another federation: bring them anew.",
            "それらを記したファイルが壊れているか別の連合のものです。置き直してください。", "";
    }
}
