//! Codes about what a job waits for before it is queued, and until when it may start.

pages! {
    DependencyUnknown:
        met "Submitters, at `sekisho job submit` and `sekisho job plan`: the spec names a job in `after` that is not there. Nothing is submitted."
            "ジョブの提出者が `sekisho job submit` と `sekisho job plan` で遭遇します。ジョブ仕様の `after` にあるジョブが見つからないため、何も投入されません。";
        step "See the jobs of the tenant: `sekisho job list --tenant TENANT`."
             "テナントのジョブを `sekisho job list --tenant TENANT` で確認してください。";
        step "Submit the other job first, or both in one call, the other one before it: `sekisho job submit FILE FILE`."
             "相手のジョブを先に投入するか、相手を前に置いて一度に投入してください(`sekisho job submit FILE FILE`)。";
        step "If it was over long ago, leave it out of `after`: jobs that are over are forgotten after seven days, and earlier if a tenant has very many."
             "ずっと前に終わったジョブなら `after` から外してください。終了したジョブは7日後に忘れられます(非常に多い場合はより早く)。";
        said "job sapporo/prep does not exist";
    DependencyNever:
        met "Submitters, at `sekisho job submit` and `sekisho job plan`: a job in `after` is over, and not in the way that is waited for. In `sekisho job list`: the other job ended so while this one was held, which failed then, and so did what waited for it to succeed."
            "ジョブの提出者が `sekisho job submit` と `sekisho job plan` で遭遇します。`after` のジョブがすでに終わっており、待つ結果になっていません。`sekisho job list` では、保留中に相手がそう終わり、このジョブと、その成功を待つジョブも失敗したことを示します。";
        step "See why the other job ended so: `sekisho job status TENANT/JOB`, `sekisho job logs TENANT/JOB`."
             "相手のジョブの結果を `sekisho job status TENANT/JOB` と `sekisho job logs TENANT/JOB` で確認してください。";
        step "Submit the other job again, and then this one under a name of its own."
             "相手のジョブを再投入し、続けてこのジョブを別の名前で投入してください。";
        step "If this one may run in any case, write `when: ended`."
             "結果にかかわらず実行してよい場合は `when: ended` と書いてください。";
        said "job sapporo/prep is failed, and will never have succeeded";
    DeadlinePast:
        met "Submitters, at `sekisho job submit` and `sekisho job plan`: `start_by` has passed on the clock of the federation, or `end_by` leaves less than the time limit. In `sekisho job list`: no place was found in time, and the job failed."
            "ジョブの提出者が `sekisho job submit` と `sekisho job plan` で遭遇します。連合の時計で `start_by` を過ぎているか、`end_by` までの残りが時間制限より短い状態です。`sekisho job list` では、期限までに配置できずジョブが失敗したことを示します。";
        step "See the times of the job: `sekisho job list -o wide`."
             "ジョブの時刻を `sekisho job list -o wide` で確認してください。";
        step "Submit it again with a later `start_by` or `end_by`, or with a shorter `time_limit` before the same end."
             "`start_by` または `end_by` を遅くするか、同じ終了時刻のまま `time_limit` を短くして再投入してください。";
        step "Before you do, ask what keeps it from a place: `sekisho job plan FILE`."
             "その前に、配置を妨げているものを `sekisho job plan FILE` で確認してください。";
        said "the latest start, 2026-12-01T00:00:00.000Z, has passed";
    DependencyWaits:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: other jobs in `after` have not come as far as the spec says. Nothing is wrong; the job is held, and queued with the age of its submission once they have. With `sekisho job replace` it is refused: a service that is there waits for nothing."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。`after` のジョブがまだ指定の状態に達していません。異常ではありません。ジョブは保留され、条件がそろうと投入時の順番で待ち行列に入ります。`sekisho job replace` では拒否されます。稼働中のサービスは何も待ちません。";
        step "See where the others are: `sekisho job explain` names them, `sekisho job explain TENANT/JOB` says why one waits itself."
             "相手のジョブは `sekisho job explain` に示されます。それぞれの状況は `sekisho job explain TENANT/JOB` で確認してください。";
        step "If one of them is not needed any more, cancel it: then this one is queued where it waits until that has ended, and fails otherwise."
             "不要な相手は取り消してください。`ended` を待つ場合は待ち行列に入り、それ以外は失敗します。";
        said "waits until job sapporo/prep has succeeded";
    NotBefore:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: the spec says `not_before`, and that time has not come on the clock of the federation. Nothing is wrong; the job is held until then. With `sekisho job replace` it is refused: a service that is there waits for nothing."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。ジョブ仕様の `not_before` の時刻に、連合の時計がまだ達していません。異常ではありません。ジョブはその時刻まで保留されます。`sekisho job replace` では拒否されます。稼働中のサービスは何も待ちません。";
        step "Wait: it is queued within seconds of that time, with the age of its submission."
             "お待ちください。その時刻から数秒以内に、投入時の順番で待ち行列に入ります。";
        step "If it may begin earlier, cancel it (`sekisho job cancel TENANT/JOB`) and submit it again without `not_before`."
             "早く始めてよい場合は、取り消して(`sekisho job cancel TENANT/JOB`)、`not_before` なしで再投入してください。";
        said "waits until 2026-12-01T00:00:00.000Z";
}
