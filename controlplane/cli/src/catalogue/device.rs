//! Codes about what a device is, and with whom it is shared.

pages! {
    ShareRefused:
        met "Members and agents, never an honest submitter: a grant would put a job on a shared device that its submitter did not agree to share, or with others than agreed. An agent answers it to such a grant, and starts nothing. What a spec says wrongly is refused before, with the field."
            "正しい手順の提出者には発生しません。提出者が共有に同意していない、または同意した相手と異なる条件で、ジョブを共有デバイスに置く許可があった場合に、メンバーとエージェントで発生します。エージェントはその許可を拒否し、何も起動しません。ジョブ仕様の誤りは、項目名を付けて事前に拒否されます。";
        step "See what the job says: `resources.class` and `resources.sharing` of its spec, `sekisho job get JOB -o json`."
             "ジョブの `resources.class` と `resources.sharing` を `sekisho job get JOB -o json` で確認してください。";
        step "If an agent has said it, treat the member that sent the grant as faulty, and keep the receipt."
             "エージェントが拒否した場合は、許可を送ったメンバーを障害とみなし、受領証を保管してください。";
        said "shares a device otherwise than was agreed";
    DeviceTwice:
        met "An agent whose host tells a device twice: listed twice, whole and in MIG instances, or shared and not. It offers nothing then and says so as a finding of its own checks; a session that tells it all the same is refused."
            "ホストが同じデバイスを二重に申告した場合に、エージェントで発生します。重複した申告、占有とMIG分割の両方での申告、共有と非共有の両方での申告が該当します。エージェントは何も提供せず、自己点検の結果として報告します。それでも申告されたセッションは拒否されます。";
        step "On the host: `sekisho-agent doctor` names the device."
             "ホスト上で `sekisho-agent doctor` を実行すると、対象のデバイスが表示されます。";
        step "Name in `shared_devices` of the agent's settings only whole devices, each once."
             "エージェント設定の `shared_devices` には、MIG分割していないデバイスを1回ずつだけ指定してください。";
        step "See what the controllers know: `sekisho node get SITE/NODE`."
             "連合側の認識は `sekisho node get SITE/NODE` で確認できます。";
        said "buckets: h200-shared: device 9f86d081… is counted twice";
    ShareNeighbours:
        met "Submitters of jobs for shared devices, in `sekisho job plan` and `sekisho job explain`: shares are free, but on devices of jobs that do not share with this one, or with which this one does not share. The job stays queued."
            "共有デバイスのジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。空きの共有枠はありますが、共有に合意していないジョブが使用中のデバイス上にあります。ジョブは待ち行列に残ります。";
        step "Wait: when those jobs end, the device is anybody's."
             "お待ちください。そのジョブが終了すると、どのジョブも使用できます。";
        step "If jobs of other tenants may compute on the same device, write `sharing: any` in place of `sharing: tenant`. They see nothing of each other's memory, but can use it up and take each other's time."
             "他テナントと同じデバイスを使ってよい場合は、`sharing: tenant` の代わりに `sharing: any` を指定してください。互いのメモリの内容は見えませんが、容量と時間は奪い合います。";
        step "See what else would help: `sekisho job explain JOB`."
             "ほかの解決策は `sekisho job explain JOB` で確認できます。";
        said "the device is shared by others";
}
