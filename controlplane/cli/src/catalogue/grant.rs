//! Codes with which an agent refuses a delivery that does not prove itself. Nothing is started, and the refusal is kept
//! as a signed receipt.

pages! {
    EpochFenced:
        met "An agent, about a grant or a desired set that is older than what it accepted before: a slow network or a member that is behind. The newer one is in force."
            "エージェントが、以前に受け入れたものより古い許可や目標集合を受け取った場合に発生します。ネットワークの遅延か、遅れているメンバーが原因です。新しいものが有効です。";
        step "Nothing to do. If one member sends such sets again and again, see its lag: `sekisho member list`."
             "対応は不要です。同じメンバーが繰り返し送る場合は、`sekisho member list` で遅れを確認してください。";
        said "the set is of epoch 41, the floor 44";
    GrantMalformed:
        met "An agent, about a delivery that does not parse in its one strict form, or has more grants than a node can. A member of another version, or a false one, sent it."
            "エージェントが、厳密な形式に合わない、またはノードの上限を超える数の許可を受け取った場合に発生します。別の版のメンバーか、偽のメンバーが送信しています。";
        step "See the receipt and who sent it: `sekisho node get SITE/NODE`, `sekisho audit show`."
             "受領証と送信元を `sekisho node get SITE/NODE` と `sekisho audit show` で確認してください。";
        step "Compare versions: `sekisho-controller --version` on the members, `sekisho-agent --version` on the host. Take a member out that repeats it."
             "メンバーの `sekisho-controller --version` とホストの `sekisho-agent --version` で版を比べてください。繰り返すメンバーは取り除いてください。";
        said "317 grants in one set";
    GrantSigners:
        met "Agents, about a checkpoint that too few companies signed; `sekisho audit export` and `sekisho snapshot save`, while no checkpoint with enough signatures covers the log. It follows an outage of the members of a company."
            "署名した事業者が足りないチェックポイントを受け取ったエージェントと、十分な署名のあるチェックポイントがない間の `sekisho audit export`・`sekisho snapshot save` で発生します。ある事業者のメンバーの停止が原因です。";
        step "See whose signature is missing: `sekisho status`."
             "不足している署名を `sekisho status` で確認してください。";
        step "Bring a member of that company back: `sekisho member list`. Running jobs go on meanwhile; new ones wait."
             "その事業者のメンバーを復旧してください(`sekisho member list`)。その間、実行中のジョブは継続し、新しいジョブは待機します。";
        said "no checkpoint is signed by enough operators yet";
    GrantInclusion:
        met "An agent: the record that grants a job is not in the log that the signed checkpoint commits to. Whoever sent it made it up, or altered it."
            "エージェントで発生します。ジョブを許可する記録が、署名済みチェックポイントのログに含まれていません。送信元が捏造または改変しています。";
        step "Nothing was started. Keep the receipt: the node holds it signed."
             "何も起動されていません。署名済みの受領証がノードに残っているため、保管してください。";
        step "Export and verify the log: `sekisho audit export FILE`, `sekisho audit verify FILE`; and take the member out of service that sent it."
             "`sekisho audit export FILE` と `sekisho audit verify FILE` でログを検証し、送信元のメンバーを停止してください。";
        said "record 9120 of 9300: the proof gives another root";
    GrantRollback:
        met "An agent that is shown a log smaller than, or contradicting, one it saw before; a member that is asked to sign such a head and does not. It means a fork, or a member that runs on an old disk."
            "以前に見たものより小さい、または矛盾するログを示されたエージェントと、そのような先頭への署名を求められたメンバーで発生します。ログの分岐か、古いディスクで動作するメンバーが原因です。";
        step "Stop and find out: the federation keeps both heads as evidence. `sekisho status` names the members concerned."
             "作業を止めて調査してください。両方の先頭は証拠として保持されています。関係するメンバーは `sekisho status` で確認できます。";
        step "Verify against a bundle from before: `sekisho audit verify FILE --earlier BUNDLE`."
             "以前のバンドルと照合してください(`sekisho audit verify FILE --earlier BUNDLE`)。";
        step "A member restored from an old disk or image must not go on: remove it, and join a new one. See the runbook for members."
             "古いディスクやイメージから復元されたメンバーは取り除き、新しいメンバーとして参加させてください。手順はメンバーの運用手順書を参照してください。";
        said "from 9300 to 9120 records: the new head is smaller";
    GrantSet:
        met "An agent: the grants that were delivered are not those that the node's signed desired set counts, in order and by hash. One was left out, added or exchanged."
            "エージェントで発生します。配信された許可が、ノードの署名済み目標集合の数・順序・ハッシュと一致しません。欠落、追加、または差し替えがあります。";
        step "Nothing was started. The agent asks another member by itself."
             "何も起動されていません。エージェントは自動的に別のメンバーに問い合わせます。";
        step "If one member repeats it, take it out of service and keep the receipts: `sekisho node get SITE/NODE`."
             "同じメンバーで繰り返す場合は停止し、受領証を保管してください(`sekisho node get SITE/NODE`)。";
        said "3 grants, the set counts 4";
    GrantNotMine:
        met "An agent, about a grant for another node, another key or another session; and a federation that takes over running jobs, about a grant of another host."
            "別のノード・鍵・セッション宛ての許可を受け取ったエージェントと、実行中のジョブを引き継ぐ連合が別のホストの許可を示された場合に発生します。";
        step "Nothing was started. It is harmless once, after the node joined anew."
             "何も起動されていません。ノードが再参加した直後の1回であれば問題ありません。";
        step "If it repeats, treat the sender as faulty and keep the receipt."
             "繰り返す場合は送信元を障害とみなし、受領証を保管してください。";
        said "the set is of node tokyo-1/n-02";
    GrantSubmission:
        met "An agent: the job as it is granted was not signed by somebody who may submit for this tenant, under a company that still takes part. So no controller can make up work."
            "エージェントで発生します。許可されたジョブに、このテナントの提出権限を持ち、連合に参加している事業者に属する人の署名がありません。コントローラーがジョブを捏造することを防ぎます。";
        step "If the submitter's company replaced its issuer or left: have the job submitted again."
             "提出者の事業者が発行者を交換した、または脱退した場合は、ジョブを再提出してもらってください。";
        step "Otherwise treat the sender as faulty, and keep the receipt; see what is recorded: `sekisho audit show`."
             "それ以外の場合は送信元を障害とみなし、受領証を保管してください。記録は `sekisho audit show` で確認できます。";
        said "the signature of kanto/user/aoki does not verify";
    TableMismatch:
        met "An agent that opens a session, or reads a grant or a proof, with another table of Japan's areas than the federation's: its program is older or newer."
            "エージェントがセッションを開くとき、または許可や証明を読むときに、行政区域表が連合のものと異なる場合に発生します。プログラムの版が異なります。";
        step "Compare the versions: `sekisho-agent --version` on the host, `sekisho-controller --version` on a member."
             "ホストの `sekisho-agent --version` とメンバーの `sekisho-controller --version` で版を比べてください。";
        step "Install on the host the version that the federation runs."
             "連合と同じ版をホストに導入してください。";
        said "the agent carries another jurisdiction table";
    PayloadMismatch:
        met "An agent or a member that was given other bytes than the digest names; `sekisho job submit` of several jobs whose payload is not theirs, one behind the other. The bytes are thrown away."
            "ダイジェストと異なる内容を受け取ったエージェントやメンバー、または複数ジョブの `sekisho job submit` でペイロードが対応していない場合に発生します。受け取った内容は破棄されます。";
        step "An agent asks another member by itself. If one member repeats it, keep the receipt and take it out of service."
             "エージェントは自動的に別のメンバーに問い合わせます。同じメンバーで繰り返す場合は、受領証を保管し、停止してください。";
        step "In your own client: send the bytes of all jobs in the order of the batch, and nothing else."
             "自作のクライアントでは、全ジョブの内容を一括処理の順に、過不足なく送ってください。";
        said "granted 5e1f…, received 91aa…";
}
