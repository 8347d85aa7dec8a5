//! Codes about what jobs run and write, and who may keep or read it.

pages! {
    PayloadNotSealed:
        met "Submitters of sealed jobs, when a site that may run the job has no key in use, or replaced the key after the job was sealed. The job waits for its owner; other sites that it is sealed to are still used."
            "封緘されたジョブの提出者が遭遇します。実行できる拠点に有効な鍵がないか、封緘後に鍵が交換されています。ジョブは所有者の操作を待ちます。ほかの封緘先の拠点は引き続き使われます。";
        step "See to which sites it is sealed: `sekisho job status JOB`."
             "封緘先の拠点を `sekisho job status JOB` で確認してください。";
        step "Seal it anew to the keys of today: `sekisho job reseal FILE`."
             "`sekisho job reseal FILE` で現在の鍵に封緘し直してください。";
        step "A site without a key gets one when a first node of it is approved: `sekisho node list --pending`."
             "鍵のない拠点は、最初のノードが承認されると鍵を持ちます(`sekisho node list --pending`)。";
        said "key 3 of site tokyo-1 is not the one in use: seal it anew";
    PayloadUnopenable:
        met "An agent or `sekisho job submit`: what was sealed does not open with the right key, so it was altered, or sealed for another cluster, job or site."
            "エージェントまたは `sekisho job submit` で発生します。正しい鍵でも封緘を開けません。改変されたか、別のクラスター・ジョブ・拠点に封緘されています。";
        step "Submit the job again: `sekisho job submit FILE`."
             "`sekisho job submit FILE` で再提出してください。";
        step "If it recurs, a member altered it: keep the receipt and tell the operators."
             "繰り返す場合は、メンバーが改変しています。受領証を保管し、事業者に知らせてください。";
        said "the sealed payload does not open";
    PayloadNotHere:
        met "Submitters and agents: what the job runs is kept only by members inside its area, and none of those answers, or none kept it. A member outside refuses it with the same code."
            "ジョブの提出者とエージェントが遭遇します。ジョブの内容は地域内のメンバーだけが保持しますが、いずれも応答しないか、保持していません。地域外のメンバーも同じコードで拒否します。";
        step "See who keeps it: `sekisho job status JOB -o wide`; and who answers: `sekisho member list`."
             "保持しているメンバーは `sekisho job status JOB -o wide`、応答しているメンバーは `sekisho member list` で確認してください。";
        step "Bring one of them back; or upload it anew: `sekisho job reseal FILE`."
             "いずれかを復旧するか、`sekisho job reseal FILE` で送り直してください。";
        said "no member inside the job's area keeps the payload";
    PayloadOutside:
        met "`sekisho job submit` and `sekisho job reseal`: the payload is not sealed and may not leave the job's area, but no controller stands wholly inside it at a site that could keep it."
            "`sekisho job submit` と `sekisho job reseal` で発生します。ペイロードは地域外に出せませんが、地域内で保持できるコントローラーがありません。";
        step "See where controllers stand: `sekisho member list`."
             "コントローラーの場所を `sekisho member list` で確認してください。";
        step "Write `payload: sealed` in the spec: then only the sites that may run it can open it, whoever keeps it."
             "ジョブ仕様に `payload: sealed` と書いてください。どのメンバーが保持しても、実行できる拠点だけが開けます。";
        step "Or allow an area with a controller in `residency.areas`."
             "または `residency.areas` にコントローラーのある地域を加えてください。";
        said "sapporo/train: no controller stands wholly inside the areas that it may run in";
    LogsElsewhere:
        met "Readers of a job's output at a member that stands outside the job's area: output may pass through members inside only. `sekisho job logs` goes on by itself to the address that the answer names."
            "ジョブの地域外のメンバーで出力を読もうとした場合に発生します。出力は地域内のメンバーだけを経由できます。`sekisho job logs` は応答に示された接続先に自動的に切り替えます。";
        step "In your own client: call the address in `metadata.endpoint`."
             "自作のクライアントでは `metadata.endpoint` の接続先を呼び出してください。";
        step "If it names none, no controller stands inside the job's area, and its output can be read by nobody from outside: read it on the host, or widen the area for the next job."
             "示されていない場合は、地域内にコントローラーがないため、出力を外部から読めません。ホスト上で確認するか、次のジョブで地域を広げてください。";
        said "this member is outside the job's area; ask ishikari-1 at c3.hokuto.example:7443";
}
