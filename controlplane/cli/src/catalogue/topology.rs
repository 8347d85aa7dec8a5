//! Codes about where the members of a group stand to one another and to other jobs.

pages! {
    TopologyNone:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: even if every suitable node were empty, no rack or site would hold the whole group, or the nodes belong to fewer operators, prefectures, sites or racks than the job wants to be spread over. Waiting does not help."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。適合するノードがすべて空いていても、グループ全体が入るラックや拠点がないか、分散先の事業者・都道府県・拠点・ラックの数が足りません。待っても解決しません。";
        step "See which nodes stand where: `sekisho node list -o wide`. A node whose rack was not told is in no rack."
             "ノードの場所を `sekisho node list -o wide` で確認してください。ラックが通知されていないノードは、どのラックにも属しません。";
        step "Read which smaller wish would do: `sekisho job explain TENANT/JOB`."
             "どの条件を緩めればよいかを `sekisho job explain TENANT/JOB` で確認してください。";
        step "Make the group smaller, or ask for less in the job's `topology`."
             "グループを小さくするか、ジョブの `topology` の条件を緩めてください。";
        said "all 16 in one rack";
    TopologyUnmet:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: enough nodes have room, but not in one rack or at one site, or not with so many different operators, prefectures, sites or racks, as the job's `topology` asks. Nothing is wrong; the job stays queued, and room is kept for it as for any other."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。空きのあるノードは足りますが、ジョブの `topology` が求める同一ラック・同一拠点・分散の条件を満たしません。異常ではありません。ジョブは待ち行列に残り、他のジョブと同様に場所が確保されます。";
        step "Read how many members would find places now, and what would do: `sekisho job explain TENANT/JOB`."
             "現在配置できるメンバー数と、条件を緩める案を `sekisho job explain TENANT/JOB` で確認してください。";
        step "Wait, or submit the job with less in its `topology`."
             "空きを待つか、`topology` の条件を緩めて再提出してください。";
        said "all 4 in one rack";
    TopologyApart:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: on the nodes that are left stands a job of the same tenant that this one keeps apart from by a mark in `topology.apart`, or that keeps apart from one of its own marks."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。残ったノードには、`topology.apart` の印によって分離すべき同じテナントのジョブ、またはこのジョブの印を避けるジョブがあります。";
        step "See which jobs run with which marks: `sekisho job list -o wide`."
             "どのジョブがどの印を持つかを `sekisho job list -o wide` で確認してください。";
        step "Wait for one of them to end, or take the mark out of the job's `topology`."
             "そのジョブの終了を待つか、ジョブの `topology` から印を外してください。";
        said "beside no job of web";
}
