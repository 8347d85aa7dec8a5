//! Codes about the members themselves: who leads, who answers, and what a change of them may not do.

pages! {
    NoLeader:
        met "Every write and every linearizable read while the members elect a leader, mostly for less than five seconds, or cannot because no majority reaches each other. Clients follow the leader and repeat by themselves until `--timeout`."
            "メンバーがリーダーを選出している間(通常5秒未満)、または過半数が互いに通信できない間、すべての書き込みと最新性を保証する読み取りで発生します。クライアントは `--timeout` まで自動的にリーダーを探して再試行します。";
        step "See who answers, and whether there is a majority: `sekisho member list --local`."
             "応答しているメンバーと過半数の有無を `sekisho member list --local` で確認してください。";
        step "Bring members back until a majority of the voters is up. Running jobs go on meanwhile until their lease ends."
             "投票者の過半数が動作するまでメンバーを復旧してください。その間、実行中のジョブはリースが終わるまで継続します。";
        step "If too many are lost for good: the runbook on recovery, `sekisho member recover`."
             "多くのメンバーを永久に失った場合は、復旧の手順書と `sekisho member recover` を参照してください。";
        said "the federation has not begun";
    Overloaded:
        met "Callers of a busy member: too many calls of one connection, too many watches or readers of a node, too many agents at once, or a full queue of proposals. Nothing was done. The answer says how long to wait."
            "混雑しているメンバーの呼び出し元が受け取ります。1接続あたりの呼び出しや購読、ノードの読み手、同時に接続するエージェントが多すぎるか、提案の待ち行列が一杯です。何も行われていません。応答に待ち時間が示されます。";
        step "Wait for as long as `RetryInfo` says, and repeat; `sekisho` does so by itself."
             "`RetryInfo` の時間だけ待って再試行してください。`sekisho` は自動的に再試行します。";
        step "Send several jobs as one batch: `sekisho job submit FILE FILE`."
             "複数のジョブは一括で提出してください(`sekisho job submit FILE FILE`)。";
        step "See load of the members: `sekisho status`."
             "メンバーの負荷を `sekisho status` で確認してください。";
        said "a member has at most 1024 watches; ask another one";
    OutcomeUnknown:
        met "Whoever writes, when the leader was lost or the line broke after the command was sent: it may have been recorded, or not, or may be later. Nothing else is said, because nothing else is known."
            "命令の送信後にリーダーが失われた、または通信が切れた場合に、書き込みの呼び出し元が受け取ります。記録されたか、されていないか、後で記録されるかは分かりません。";
        step "Repeat with the same id: the command with `--request-id ID`, as the message prints it. If it took effect before, that answer is given again; it never takes effect twice."
             "メッセージに表示された `--request-id ID` を付けて再実行してください。すでに有効であれば同じ応答が返され、二重に実行されることはありません。";
        step "Or look: `sekisho job status JOB`."
             "または `sekisho job status JOB` で確認してください。";
        said "not answered in time";
    Deadline:
        met "Whoever waits: the time of `--timeout`, `--wait-timeout` or `--deadline` passed before an answer came. What you waited for may still come."
            "`--timeout`、`--wait-timeout`、`--deadline` の時間内に応答がなかった場合に発生します。待っていた結果は、後で得られる可能性があります。";
        step "A write: repeat it with the same `--request-id ID`. A wait: look where it stands, `sekisho job status JOB`."
             "書き込みの場合は同じ `--request-id ID` で再実行してください。待機の場合は `sekisho job status JOB` で状態を確認してください。";
        step "If it recurs: `sekisho member list` shows who answers, and `--timeout 1m` waits for longer."
             "繰り返す場合は、`sekisho member list` で応答しているメンバーを確認し、`--timeout 1m` のように待ち時間を延ばしてください。";
        said "10s passed";
    StaleRead:
        met "Readers at a member that could not learn from the leader in time how far it has to be. It gives no answer in place of an old one. An agent meets it about a payload that its member has not received yet."
            "必要な最新位置を時間内にリーダーに確認できないメンバーで読み取った場合に発生します。古い内容を返す代わりに、応答しません。エージェントは、メンバーがまだ受け取っていないペイロードについて遭遇します。";
        step "Repeat; the client goes on to another member by itself."
             "再実行してください。クライアントは自動的に別のメンバーに切り替えます。";
        step "If an answer that may be a little old is enough: `sekisho job list --local`."
             "少し古い内容でよければ `sekisho job list --local` を使ってください。";
        said "this member is behind revision 4711";
    AuditIncomplete:
        met "`sekisho audit show` and `sekisho audit export` at a member that joined or was restored lately and is still fetching the older records."
            "最近参加または復旧し、古い記録を取得中のメンバーに対する `sekisho audit show` と `sekisho audit export` で発生します。";
        step "Ask another member; the client tries those of the context by itself."
             "別のメンバーに問い合わせてください。クライアントはコンテキストのメンバーを自動的に試します。";
        step "See how far it is: `sekisho status`."
             "進み具合を `sekisho status` で確認してください。";
        said "records 0 to 8191 are not here yet";
    ClockAhead:
        met "A member, about itself, in `sekisho status` and its metrics: the time in the log is later than its own clock allows, so it signs no checkpoint. Either its clock is slow, or that of the leader which stamped the entries was fast."
            "`sekisho status` とメトリクスに、メンバー自身の状態として表示されます。ログの時刻がそのメンバーの時計の許容範囲より進んでいるため、チェックポイントに署名しません。そのメンバーの時計が遅れているか、記録したリーダーの時計が進んでいます。";
        step "See the clocks of all members: `sekisho status`; and time synchronisation of this one: `sekisho-controller doctor`."
             "全メンバーの時計は `sekisho status`、このメンバーの時刻同期は `sekisho-controller doctor` で確認してください。";
        step "Correct the one that differs from the others. It signs again by itself."
             "ほかと異なる時計を修正してください。署名は自動的に再開します。";
        said "the state clock is 4.2 s ahead";
    ClockBehind:
        met "A member, about itself, in `sekisho status` and its metrics, and in refusals of apply: the time in the log is much older than its own clock. It follows a long outage, until the leader's ticks catch up, or a leader whose clock is slow."
            "`sekisho status` とメトリクス、および命令の拒否に表示されます。ログの時刻がそのメンバーの時計より大きく遅れています。長い停止の後で追いつくまでの間か、リーダーの時計が遅れている場合に起こります。";
        step "After an outage, wait for some seconds."
             "停止の後は、数秒お待ちください。";
        step "If it stays: correct the leader's clock, or have another member lead: `sekisho member transfer MEMBER`."
             "続く場合は、リーダーの時計を修正するか、`sekisho member transfer MEMBER` で別のメンバーにリーダーを移してください。";
        said "the state clock is 61 s behind";
    StorageFailed:
        met "Callers of a member whose disk gave an error, or damaged bytes: it has stopped and answers nothing else, so that nothing wrong spreads. On a host: an agent whose ledger cannot be read or written."
            "ディスクの入出力エラーまたはデータの破損が起きたメンバーの呼び出し元が受け取ります。誤りが広がらないよう、メンバーは停止しています。ホストでは、台帳を読み書きできないエージェントで発生します。";
        step "See which member: `sekisho member list`. The others go on; use one of them."
             "どのメンバーか `sekisho member list` で確認してください。ほかのメンバーは動作しているため、そちらを使ってください。";
        step "Read its journal and run `sekisho-controller doctor` there. Replace the disk."
             "そのメンバーのジャーナルを確認し、`sekisho-controller doctor` を実行して、ディスクを交換してください。";
        step "Never start it again on the old disk or an old copy: remove it, and join it as a new member with a new number."
             "古いディスクや古いコピーで再起動しないでください。取り除き、新しい番号の新しいメンバーとして参加させてください。";
        step "A host: revoke the node, empty its data directory, and let it join anew."
             "ホストの場合は、ノードを失効させ、データディレクトリを消去し、再参加させてください。";
        said "the member has stopped";
    Internal:
        met "Whoever met a fault of ours: something that should not be possible was. What exactly is in the journal of the member that answered, under the trace id that the message names, and is not told to callers."
            "Sekishoの不具合に遭遇した場合に発生します。詳細は、応答したメンバーのジャーナルに、メッセージに示されたトレースIDとともに記録され、呼び出し元には伝えられません。";
        step "A write may have been done: look before you repeat it, or repeat it with the same `--request-id ID`."
             "書き込みは行われている可能性があります。確認してから再実行するか、同じ `--request-id ID` で再実行してください。";
        step "Report it with the trace id that the message names, the time and `sekisho version`; an operator finds the cause in the journal by that id."
             "メッセージに示されたトレースID、時刻、`sekisho version` の出力を添えて報告してください。事業者はそのIDでジャーナルから原因を調べられます。";
        said "trace 4bf92f3577b34da6a3ce929d0e0e4736";
    MemberQuorumInOneHand:
        met "`sekisho member promote`, `sekisho member demote`, `sekisho member remove`, and the opening of an incarnation: after it one company alone could decide everything (more than half of the votes)."
            "`sekisho member promote`、`sekisho member demote`、`sekisho member remove`、および世代の開始で発生します。変更後に、1つの事業者だけですべてを決定できる(投票の過半数を持つ)ことになります。";
        step "See whose votes there are: `sekisho member list`."
             "投票の分布を `sekisho member list` で確認してください。";
        step "Promote a member of another company first: `sekisho member promote MEMBER`."
             "先に `sekisho member promote MEMBER` で別の事業者のメンバーを昇格させてください。";
        step "With two companies only, where it cannot be avoided: `--accept-quorum-in-one-hand`, which is recorded."
             "事業者が2社だけで避けられない場合は `--accept-quorum-in-one-hand` を使ってください。その旨は記録されます。";
        said "kanto would hold 2 of 3 votes";
    MemberNeeded:
        met "`sekisho member remove`, `sekisho member demote` and the preparation of such a change: no voter would be left, or the companies with a controller would be too few to sign checkpoints, and no job could start."
            "`sekisho member remove`、`sekisho member demote`、およびその準備で発生します。投票者がいなくなるか、コントローラーを持つ事業者がチェックポイントの署名に足りなくなり、ジョブを開始できなくなります。";
        step "Add another member of that company and promote it: `sekisho member add FILE`, `sekisho member promote MEMBER`."
             "その事業者の別のメンバーを `sekisho member add FILE` で追加し、`sekisho member promote MEMBER` で昇格させてください。";
        step "Then repeat the removal."
             "その後、削除を再実行してください。";
        said "no voter would be left";
    MemberIdUsed:
        met "`sekisho member add`: the number in the change belonged to a member that was removed. A number is never used twice, because old messages of that member could still be on their way."
            "`sekisho member add` で、削除済みのメンバーの番号を使った場合に発生します。古いメンバーのメッセージが届く可能性があるため、番号は再利用できません。";
        step "See the numbers in use: `sekisho member list`; take one above all that ever were."
             "使用中の番号を `sekisho member list` で確認し、これまでのどの番号よりも大きい番号を使ってください。";
        step "Prepare the change anew: `sekisho member prepare`."
             "`sekisho member prepare` で変更を作り直してください。";
        said "member 4 was removed";
    MemberBehind:
        met "`sekisho member transfer` and `sekisho member promote`: the member that shall lead or vote does not hold all of the log yet, is no voter, or is not heard by the leader."
            "`sekisho member transfer` と `sekisho member promote` で発生します。リーダーまたは投票者になるメンバーが、まだログに追いついていない、投票者でない、または応答していません。";
        step "See its lag: `sekisho member list`."
             "遅れを `sekisho member list` で確認してください。";
        step "Wait until it is zero; if it does not shrink, look at the member's journal and disk."
             "遅れがなくなるまで待ってください。減らない場合は、そのメンバーのジャーナルとディスクを確認してください。";
        said "member 3 is 5000 entries behind";
    MemberQuorumAtRisk:
        met "`sekisho member promote`, `sekisho member demote` and `sekisho member remove`: of the voters that would be left, no majority answers at this moment, so the change could be the last thing that the group decides."
            "`sekisho member promote`、`sekisho member demote`、`sekisho member remove` で発生します。変更後の投票者の過半数が現在応答していないため、その変更を最後に何も決定できなくなるおそれがあります。";
        step "See who is silent: `sekisho member list`. Bring them back first."
             "応答のないメンバーを `sekisho member list` で確認し、先に復旧してください。";
        step "If a silent one is lost for good, remove that one: the others are then the majority."
             "応答のないメンバーを永久に失った場合は、そのメンバーを削除してください。残りで過半数になります。";
        said "1 of the 3 voters-to-be answer";
}
