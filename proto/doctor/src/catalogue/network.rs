//! Checks of what can be reached, and of what reaches us.

checks! {
    RESOLVER = "resolver",
        "Each resolver of the settings answers: it alone is asked for the addresses of names.",
        "設定した各リゾルバーが応答すること。名前の解決はこれらだけに問い合わせます。" => {
        RESOLVER_ANSWERS = Ok,
            "{address} answers in {rtt}",
            "{address} の応答 {rtt}";
        RESOLVER_SILENT = Warning,
            "{host} port {port}: {cause}",
            "{host} ポート {port}: {cause}"
            => "See whether it runs and lets this host ask. While another one answers, names are found.",
            "動いているか、このホストの問い合わせを許すか確認してください。他が応答する間は解決できます。",
            "dig @{host} -p {port} . NS";
        RESOLVER_NONE = Ok,
            "none is set: members and landmarks have addresses, names are refused",
            "未設定。メンバーとランドマークはアドレスで指定し、名前は拒否されます";
        RESOLVER_OFFLINE = Skipped,
            "none is asked, as was wanted",
            "指定により尋ねていません";
    }
    MEMBER = "member",
        "Each member's address resolves, answers a TLS handshake with our certificate, and is who it should be.",
        "各メンバーの名前が解決でき、自分の証明書での TLS ハンドシェイクに応じ、本人であること。" => {
        MEMBER_ANSWERS = Ok,
            "{member} at {address}: {subject}, certificate until {until}, answers in {rtt}",
            "{member} ({address}): {subject}、証明書は {until} まで、応答 {rtt}";
        MEMBER_ENDS = Warning,
            "{member} at {address} answers in {rtt}, but its certificate ends at {until}: {left} left",
            "{member} ({address}) は {rtt} で応答しますが、証明書は {until} に切れます。残り {left}"
            => "Its company renews it and restarts the member.",
            "その事業者が証明書を更新し、メンバーを再起動します。",
            "sekisho pki renew OPERATOR_DIR --member N=ADDRESS --site SITE";
        MEMBER_UNREACHABLE = Warning,
            "{member} at {address} is not reached: {cause}",
            "{member} ({address}) に届きません: {cause}"
            => "See whether it runs, and whether a firewall lets this host through to its port.",
            "そのメンバーが動いているか、ファイアウォールが通すかを確認してください。",
            "sekisho member list";
        MEMBER_STRANGER = Failure,
            "{member} at {address} is not taken for it: {cause}",
            "{member} ({address}) を本人と認められません: {cause}"
            => "Another program answers there, its certificate is wrong, or the trust package that is held here is old.",
            "別のプログラムが応答しているか、証明書の誤りか、ここの信頼パッケージが古いです。",
            "sekisho member package FILE";
        MEMBER_REFUSES = Failure,
            "{member} at {address} refuses our certificate: {cause}",
            "{member} ({address}) がこちらの証明書を拒否しました: {cause}"
            => "See `certificate`, `chain` and `clock-wall` above; if they are well, this host was revoked or has been removed.",
            "上の certificate、chain、clock-wall を確認してください。正常なら、取り消しまたは除名されています。",
            "sekisho node list";
        MEMBER_OFFLINE = Skipped,
            "none is asked, as was wanted",
            "指定により尋ねていません";
        MEMBER_UNJOINED = Skipped,
            "none is asked: a host that has not joined knows none",
            "尋ねていません。参加していないホストは相手を知りません";
        MEMBER_UNEQUIPPED = Skipped,
            "none is asked: without certificate and roots nobody would answer",
            "尋ねていません。証明書とルートがなければ応答されません";
    }
    OPERATORS = "operators",
        "Members of how many companies answer: an agent starts nothing and keeps no lease without k of them.",
        "応答したメンバーが何社か。エージェントは k 社がなければ何も開始できず、リースも保てません。" => {
        OPERATORS_ENOUGH = Ok,
            "members of {count} of {operators} operators answer, {k} are needed",
            "{operators} 事業者中 {count} 社のメンバーが応答。必要なのは {k} 社です";
        OPERATORS_BARE = Warning,
            "members of {count} of {operators} operators answer, just the {k} that are needed",
            "{operators} 事業者中 {count} 社のメンバーが応答。必要な {k} 社ちょうどです"
            => "One more outage stops the jobs of this host. See the members above that do not answer.",
            "あと1社の障害でこのホストのジョブが止まります。応答のないメンバーを確認してください。",
            "sekisho status";
        OPERATORS_FEW = Failure,
            "members of {count} of {operators} operators answer, {k} are needed",
            "{operators} 事業者中 {count} 社のメンバーしか応答しません。必要なのは {k} 社です"
            => "Nothing is started here, and what the lease binds ends with it. See the members above.",
            "ここでは何も開始されず、リースに縛られたジョブは終了します。上のメンバーを確認してください。",
            "sekisho status";
    }
    MAJORITY = "majority",
        "How many members answer, this one included: without a majority nothing is written.",
        "自分を含め何メンバーが応答するか。過半数がなければ何も書き込めません。" => {
        MAJORITY_SEEN = Ok,
            "{count} of {members} members with this one, {need} decide",
            "自分を含め {members} 中 {count} メンバー。過半数は {need} です";
        MAJORITY_MISSING = Failure,
            "{count} of {members} members with this one, {need} decide",
            "自分を含め {members} 中 {count} メンバー。過半数の {need} に足りません"
            => "Nothing can be written while that is so, unless the others see more than this one. If they are gone for good: docs/runbooks/recover.md.",
            "他のメンバーから見ても同じなら、書き込みはできません。永久に失われた場合: docs/runbooks/recover.md。",
            "sekisho member list";
    }
    LISTEN = "listen",
        "The addresses that a controller listens on are this host's, and free or its own.",
        "コントローラーの待ち受けアドレスがこの機械のもので、空いているか自分のものであること。" => {
        LISTEN_FREE = Ok,
            "{address} is free",
            "{address} は空いています";
        LISTEN_OURS = Ok,
            "{address} is held by the running controller (process {pid})",
            "{address} は稼働中のコントローラー (プロセス {pid}) のものです";
        LISTEN_TAKEN = Failure,
            "{address} is taken by {who}",
            "{address} は {who} が使っています"
            => "Stop that program, or let one of the two listen elsewhere.",
            "そのプログラムを止めるか、どちらかの待ち受け先を変えてください。", "ss --listening --tcp --processes --numeric";
        LISTEN_SILENT = Failure,
            "the controller runs (process {pid}), but {address} is not held",
            "コントローラー (プロセス {pid}) は動いていますが {address} を待ち受けていません"
            => "It listens elsewhere by other settings, or has not come so far. See its log.",
            "別の設定で動いているか、まだ起動の途中です。ログを確認してください。",
            "journalctl --unit sekisho-controller --lines 50";
        LISTEN_REFUSED = Failure,
            "{address}: {cause}",
            "{address}: {cause}"
            => "Give `listen` an address of this host, and a port that the user of the service may use.",
            "`listen` にこの機械のアドレスと、使えるポートを指定してください。", "ip -brief address";
    }
}
