//! Checks that only a controller makes.

checks! {
    GROUND = "federation",
        "Genesis and trust package are read and walked as at a start: which federation, whose keys count, and that this member is one of it.",
        "創設文書と信頼パッケージを起動時と同じく検証します。どの連合か、誰の鍵が有効か、このメンバーが属すか。" => {
        GROUND_SOUND = Ok,
            "{cluster}, incarnation {incarnation}, endorser bundle version {version}: {operators} operators, k = {k}",
            "{cluster}、世代 {incarnation}、承認者束の版 {version}: {operators} 事業者、k = {k}";
        GROUND_BAD = Failure,
            "{cause}",
            "{cause}"
            => "The member cannot start. Bring genesis and package anew from another member's company.",
            "起動できません。創設文書とパッケージを別のメンバーの事業者から取り直してください。",
            "sekisho member package FILE";
        GROUND_STRANGER = Failure,
            "member {member} of {operator} at {site} is not among the members that are named",
            "{operator} の拠点 {site} のメンバー {member} は記載されていません"
            => "Correct the settings, or name a package that was made after the member was added.",
            "設定を直すか、追加後に作られたパッケージを指定してください。", "sekisho member package FILE";
    }
    DIRECTORY = "directory",
        "The marks of the data directory: of this member, of this federation, of this layout (R6). The databases are not opened.",
        "データディレクトリの印。このメンバー、この連合、この形式のものか (R6)。データベースは開きません。" => {
        DIRECTORY_SOUND = Ok,
            "of this member, made {created}, {boots} starts so far",
            "このメンバーのもの。作成 {created}、起動 {boots} 回";
        DIRECTORY_NEW = Ok,
            "empty: the first start sets it up",
            "空です。最初の起動で用意されます";
        DIRECTORY_FOREIGN = Failure,
            "{path}: {cause}",
            "{path}: {cause}"
            => "Point `data_dir` at this member's own directory; a wiped or copied one is never to be mended by hand: docs/runbooks/member.md.",
            "`data_dir` をこのメンバー自身のものにしてください。消えた、または複製されたものを手で直さないこと: docs/runbooks/member.md。",
            "ls -l {path}";
        DIRECTORY_INCOMPLETE = Failure,
            "{missing} is missing in {path}",
            "{path} に {missing} がありません"
            => "Part of the directory is lost: do not start it. Remove the member and join a new one: docs/runbooks/member.md.",
            "一部が失われています。起動しないでください。メンバーを外し、新しく参加させます: docs/runbooks/member.md。",
            "ls -l {path}";
        DIRECTORY_UNKNOWN = Skipped,
            "of a member, but genesis or package cannot be used to tell of which one",
            "メンバーのものですが、創設文書かパッケージが使えず、どのメンバーか比べられません";
    }
    CHECKPOINT_KEY = "checkpoint-key",
        "The key that this member signs checkpoints with is the one that the bundle has for it.",
        "チェックポイントの署名鍵が、束に載っているこのメンバーの鍵であること。" => {
        CHECKPOINT_KEY_SOUND = Ok,
            "{path} is the key in the bundle",
            "{path} は束に載っている鍵です";
        CHECKPOINT_KEY_NONE = Warning,
            "there is none ({path}): this member signs nothing",
            "ありません ({path})。このメンバーは署名しません"
            => "With too few signers no job starts. Name it in `checkpoint_key`, and bring the file.",
            "署名者が足りないとジョブは始まりません。`checkpoint_key` に指定し、ファイルを置いてください。", "";
        CHECKPOINT_KEY_OTHER = Warning,
            "{path} is not the key of member {member} in endorser bundle version {version}, that of the settings",
            "{path} は設定の承認者束の版 {version} にあるメンバー {member} の鍵ではありません"
            => "If it was replaced since, a later package has it; else bring the key that was agreed, for its signatures count for nothing.",
            "その後に替えたなら新しいパッケージに載っています。そうでなければ合意された鍵を置いてください。署名は数えられません。",
            "sekisho member package FILE";
        CHECKPOINT_KEY_BAD = Failure,
            "{path}: {cause}",
            "{path}: {cause}"
            => "Bring the file that `sekisho pki` made.",
            "`sekisho pki` が作ったファイルを置いてください。", "ls -l {path}";
    }
    ISSUER = "issuer",
        "The company's issuer and site-tag key at this site, with which hosts join and renew here.",
        "この拠点での発行者と拠点タグの鍵。ホストの参加と更新に使います。" => {
        ISSUER_SOUND = Ok,
            "of {operator}, until {until}: {left} left; site-tag key is in the bundle",
            "{operator} のもの、{until} まで。残り {left}。拠点タグの鍵は束にあります";
        ISSUER_NONE = Warning,
            "this member has no {what}: no host joins or renews here",
            "このメンバーには {what} がありません。ホストの参加も更新もできません"
            => "Without one at any member of the site, hosts there lose their certificates within a day.",
            "拠点のどのメンバーにもないと、ホストの証明書は1日以内に切れます。", "sekisho pki show OPERATOR_DIR";
        ISSUER_ENDS = Warning,
            "ends at {until}: {left} left",
            "{until} に切れます。残り {left}"
            => "Make a new one: no certificate outlives it.",
            "新しく作ってください。これより長く有効な証明書は作れません。", "sekisho pki renew --help";
        ISSUER_OVER = Failure,
            "has ended at {until}",
            "{until} に切れました"
            => "Make a new one: nothing that it signs is accepted.",
            "新しく作ってください。署名しても受け入れられません。", "sekisho pki renew --help";
        ISSUER_BAD = Failure,
            "{cause}",
            "{cause}"
            => "Bring issuer and site-tag key of this company's agreed keys.",
            "合意されたこの事業者の発行者と拠点タグの鍵を置いてください。", "";
    }
    LOGIN = "login",
        "The registrar with which people of the company log in here, the rules and the provider's keys that the settings name.",
        "この事業者の人がここでログインするための登録者、設定にある規則とプロバイダーの鍵。" => {
        LOGIN_SOUND = Ok,
            "registrar {registrar}, until {until}: {left} left; {rules} rules",
            "登録者 {registrar}、{until} まで。残り {left}。規則 {rules} 件";
        LOGIN_NONE = Ok,
            "the settings have no `[login]`: nobody logs in here",
            "設定に `[login]` がありません。ここではログインできません";
        LOGIN_ENDS = Warning,
            "registrar {registrar} ends at {until}: {left} left",
            "登録者 {registrar} は {until} に切れます。残り {left}"
            => "Make a new one and bring its directory: no login outlives it.",
            "新しく作り、そのディレクトリを置いてください。これより長く有効なログインはできません。", "sekisho pki registrar --help";
        LOGIN_OVER = Failure,
            "registrar {registrar} has ended at {until}",
            "登録者 {registrar} は {until} に切れました"
            => "Make a new one and bring its directory: nobody can log in here.",
            "新しく作り、そのディレクトリを置いてください。ここでは誰もログインできません。", "sekisho pki registrar --help";
        LOGIN_BAD = Failure,
            "{cause}",
            "{cause}"
            => "Correct `[login]` or what it names: the member does not start with it.",
            "`[login]` またはそれが指すものを直してください。このままではメンバーは起動しません。", "";
    }
}
