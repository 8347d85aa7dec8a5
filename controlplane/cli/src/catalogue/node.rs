//! Codes about hosts: their joining, their sessions, and where they are.

pages! {
    TokenUnknown:
        met "A host at `sekisho-agent join`: the federation has no such token for this node. It was never made here, was made for another node, its site does not exist, or it was mistyped."
            "ホストが `sekisho-agent join` で遭遇します。このノードのトークンは連合に存在しません。この連合のものではない、別のノード用である、拠点がない、または入力の誤りです。";
        step "Copy the whole line of the token again, or give it as a file: `--token-file FILE`."
             "トークンの行全体をコピーし直すか、`--token-file FILE` で渡してください。";
        step "Have a new one made for this very node: `sekisho node token create SITE/NODE`."
             "このノード用に `sekisho node token create SITE/NODE` で作り直してもらってください。";
        said "no such token for this node";
    TokenUsed:
        met "A host at `sekisho-agent join` whose token enrolled a host before. The same host may repeat a join whose answer got lost for a short while; after that, and for every other host, the token is gone."
            "使用済みのトークンで `sekisho-agent join` を実行した場合に発生します。同じホストは、応答を受け取れなかった参加を短時間の間だけ繰り返せます。それ以降、またはほかのホストでは使えません。";
        step "If you did not use it: somebody else did. See who joined: `sekisho node get SITE/NODE`; if you do not know the key, `sekisho node revoke SITE/NODE --yes`."
             "使った覚えがない場合は、他者が使用しています。`sekisho node get SITE/NODE` で確認し、知らない鍵であれば `sekisho node revoke SITE/NODE --yes` で失効させてください。";
        step "Make a new one: `sekisho node token create SITE/NODE`."
             "`sekisho node token create SITE/NODE` で作り直してください。";
        said "the token was used";
    TokenExpired:
        met "A host at `sekisho-agent join` with a token that is too old, or whose clock is far ahead."
            "期限の切れたトークンで `sekisho-agent join` を実行した場合に発生します。ホストの時計が大きく進んでいる場合もあります。";
        step "See that the host's clock is right: `sekisho-agent doctor`."
             "ホストの時計が正しいか `sekisho-agent doctor` で確認してください。";
        step "Make a new one, with more time if it has to travel: `sekisho node token create SITE/NODE --lifetime 24h`."
             "作り直してください。届けるのに時間がかかる場合は `sekisho node token create SITE/NODE --lifetime 24h` のように期限を延ばせます。";
        said "expired at 2026-07-01T00:00:00Z";
    TagInvalid:
        met "A host at `sekisho-agent join` whose configured area does not lie in its site's; and every reader of a tag that its operator did not sign like this, of another node or key, or older than the one in force."
            "設定された地域が拠点の地域に含まれないホストが `sekisho-agent join` で遭遇します。また、事業者の署名と一致しない、別のノードや鍵の、または有効なものより古いタグを読んだ場合にも発生します。";
        step "Compare the area in the agent's configuration with `sekisho site get SITE`; correct what is wrong."
             "エージェントの設定の地域と `sekisho site get SITE` の地域を比べ、誤りを修正してください。";
        step "Have the host join again: `sekisho node token create SITE/NODE`. Its operator then tags it anew."
             "`sekisho node token create SITE/NODE` のトークンで再参加させてください。事業者がタグを発行し直します。";
        said "131016 does not lie in Hokkaido, where the site stands";
    NodeRevoked:
        met "The agent of a node that was revoked or decommissioned, or whose site was, at every call; submitters whose suitable nodes all are; administrators who would change such a node."
            "失効または廃止されたノード、もしくは失効した拠点のノードのエージェントが、すべての呼び出しで受け取ります。適合するノードがすべて失効している提出者や、そのようなノードを変更しようとする管理者も遭遇します。";
        step "See what was revoked: `sekisho node get SITE/NODE`, `sekisho site get SITE`; who did it and when: `sekisho audit show`."
             "`sekisho node get SITE/NODE` と `sekisho site get SITE` で確認してください。誰がいつ行ったかは `sekisho audit show` で確認できます。";
        step "A revoked node never comes back. Empty the host's data directory and let it join under a new name; a name is free again after `sekisho node decommission SITE/NODE --yes`."
             "失効したノードは復帰できません。ホストのデータディレクトリを消去し、新しい名前で参加させてください。`sekisho node decommission SITE/NODE --yes` の後は同じ名前も使えます。";
        said "tokyo-1/n-01 was revoked";
    SessionStale:
        met "Agents that report for a session that ended: the lease ran out while they were cut off, or they opened another one. The report has no effect; what it would have told is told in the next session."
            "終了したセッションの報告をしたエージェントが受け取ります。切断中にリースが切れたか、別のセッションを開いたためです。報告は無効ですが、内容は次のセッションで伝えられます。";
        step "Nothing to do: the agent opens a new session by itself."
             "対応は不要です。エージェントが自動的に新しいセッションを開きます。";
        step "If it repeats: see how the host is connected, `sekisho node get SITE/NODE`, and its clock, `sekisho-agent doctor`."
             "繰り返す場合は、接続を `sekisho node get SITE/NODE` で、時計を `sekisho-agent doctor` で確認してください。";
        said "the report is from a session that is over";
    SessionTwin:
        met "An agent whose stream ends because another stream of the same node and session took its place. It is mostly its own, dialled again after a break."
            "同じノード・同じセッションの別の接続に置き換えられたエージェントが受け取ります。多くの場合、切断後に自身が再接続したものです。";
        step "Nothing to do if it happens once after a break of the line."
             "回線の切断後に1回だけ起こった場合、対応は不要です。";
        step "If it goes on, two processes use one enrolment: `sekisho node get SITE/NODE` says where from; stop one of them."
             "続く場合は、2つのプロセスが同じ登録を使っています。`sekisho node get SITE/NODE` で確認し、一方を停止してください。";
        said "another stream of this node took over";
    SessionWaits:
        met "An agent that was started again while the lease of its earlier session may still run: until it is over, the old process could still hold jobs."
            "以前のセッションのリースが残っている間に再起動したエージェントが受け取ります。リースが終わるまで、古いプロセスがジョブを保持している可能性があるためです。";
        step "Nothing to do: the agent asks again and has its session within half a minute."
             "対応は不要です。エージェントが再試行し、30秒以内にセッションが開きます。";
        step "If it goes on for longer, another host answers for this node: `sekisho node get SITE/NODE`."
             "長く続く場合は、別のホストがこのノードを名乗っています。`sekisho node get SITE/NODE` を確認してください。";
        said "session 5a… of tokyo-1/n-01 is open and its lease has not ended";
    NodeKeyMismatch:
        met "`sekisho node approve` and `sekisho node reject`: the fingerprint given is not that of the key with which the node joined. Either it was mistyped, or another host joined in its place."
            "`sekisho node approve` と `sekisho node reject` で、指定した指紋がノードの参加時の鍵と一致しない場合に発生します。入力の誤りか、別のホストが代わりに参加しています。";
        step "Read the fingerprint on the host's own console, not through the network: `sekisho-agent doctor`."
             "ネットワーク経由ではなく、ホスト自身の画面で `sekisho-agent doctor` の指紋を確認してください。";
        step "If it differs from `sekisho node list --pending`, it is another machine: `sekisho node reject SITE/NODE --yes`."
             "`sekisho node list --pending` と異なる場合は別のマシンです。`sekisho node reject SITE/NODE --yes` で拒否してください。";
        said "tokyo-1/n-01 joined with another key";
    LocationInvalid:
        met "Agents and landmarks that send a measurement, `sekisho residency verify`, and readers of a bundle: a signature does not verify, or the record is of another node, key, landmark, table or time."
            "測定記録を送るエージェントとランドマーク、`sekisho residency verify`、監査バンドルの検証で発生します。署名を検証できないか、別のノード・鍵・ランドマーク・表・時刻の記録です。";
        step "Measure again: `sekisho residency prove SITE/NODE`."
             "`sekisho residency prove SITE/NODE` で再測定してください。";
        step "If it repeats with one landmark, compare its key with its operator: `sekisho landmark get OPERATOR/NAME`."
             "特定のランドマークで繰り返す場合は、`sekisho landmark get OPERATOR/NAME` の鍵をその事業者と照合してください。";
        said "the fix is not newer than the one that is kept";
    LocationInconsistent:
        met "`sekisho residency prove`, `sekisho residency status` and `sekisho residency verify`: the distances that the landmarks measured cannot all be true, or the node cannot be where it claims. Some landmark or the host lies, or is misplaced."
            "`sekisho residency prove`、`sekisho residency status`、`sekisho residency verify` で発生します。測定された距離が互いに両立しないか、ノードが申告した場所にあり得ません。ランドマークかホストが偽っているか、位置の登録が誤っています。";
        step "See which landmarks contradict each other: `sekisho residency map FILE --node SITE/NODE` or the words of `sekisho residency prove SITE/NODE`."
             "矛盾するランドマークを `sekisho residency map FILE --node SITE/NODE` の図、または `sekisho residency prove SITE/NODE` の表示で確認してください。";
        step "Have their operators check position and key of each: `sekisho landmark get OPERATOR/NAME`. Until then the node counts as in an unknown place, and nothing that asks for a proof is placed there."
             "それぞれの事業者に位置と鍵を確認してもらってください(`sekisho landmark get OPERATOR/NAME`)。解決するまで、ノードの場所は不明として扱われ、証明を求めるジョブは配置されません。";
        said "the landmarks kanto/tokyo and naniwa/osaka contradict each other";
    ProofTooSoon:
        met "`sekisho residency prove`, asked again right after a measurement: a landmark measures one host only so often, so that nobody uses it to load a network."
            "`sekisho residency prove` を測定の直後に再実行した場合に発生します。ネットワークに負荷をかけないよう、ランドマークが同じホストを測定する頻度は制限されています。";
        step "See what the last measurement proved: `sekisho residency status SITE/NODE`."
             "直前の測定結果は `sekisho residency status SITE/NODE` で確認できます。";
        step "Ask again after as long as the message says; programs find it in `metadata.wait_ms`."
             "メッセージに示された時間の後に再実行してください。プログラムでは `metadata.wait_ms` を参照してください。";
        said "tokyo-1/n-01 can be measured again in 24 s";
    StartFailed:
        met "Submitters, as the reason of a placement that ended: the node could not start the process, because the command does not exist, the sandbox could not be made, or the device could not be handed over. Also `sekisho dev`, when one of its processes does not come up."
            "ジョブの提出者が、終了した配置の理由として目にします。コマンドが存在しない、隔離環境を作れない、デバイスを渡せないなどの理由で、ノードがプロセスを開始できませんでした。`sekisho dev` のプロセスが起動しない場合にも発生します。";
        step "Read the reason: `sekisho job status JOB`."
             "`sekisho job status JOB` で理由を確認してください。";
        step "If the command is wrong, correct the spec and submit again. If the host is: `sekisho node cordon SITE/NODE`, and `sekisho-agent doctor` on it."
             "コマンドの誤りであれば、ジョブ仕様を修正して再提出してください。ホストの問題であれば `sekisho node cordon SITE/NODE` で閉鎖し、ホスト上で `sekisho-agent doctor` を実行してください。";
        said "exec /usr/bin/trian: No such file or directory";
}
