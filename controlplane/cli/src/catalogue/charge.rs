//! Codes about what operators offer, and what tenants may use at once and over time.

pages! {
    OfferNone:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: at the sites that are left, no operator offers GPUs of this class to this tenant, or only for a time that ends before the job's time limit would."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。残った拠点では、どの事業者もこの種別のGPUをこのテナントに提供していないか、ジョブの時間制限より前に提供期間が終わります。";
        step "See what is offered, until when, and to whom it is not made: `sekisho offer list -o wide`."
             "提供の内容・期限・対象外のテナントを `sekisho offer list -o wide` で確認してください。";
        step "Shorten `time_limit` of the job, so that it ends before the offer does."
             "ジョブの `time_limit` を短くし、提供期間内に終わるようにしてください。";
        step "Or ask the operator of the site: only its own administrators run `sekisho offer create SITE NAME --class C --gpus N`."
             "または拠点の事業者に依頼してください。`sekisho offer create SITE NAME --class C --gpus N` を実行できるのは、その事業者の管理者だけです。";
        said "no offer of h100 at tokyo-1 for sapporo until 2026-12-01T00:00:00.000Z";
    OfferFull:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: operators offer such GPUs to this tenant, but all of them are charged already. Nothing is wrong; the job stays queued and is placed when enough are given back."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。適合するGPUは提供されていますが、すべて使用中です。異常ではありません。ジョブは待ち行列に残り、空きができると配置されます。";
        step "See how many are offered and used: `sekisho offer list`."
             "提供数と使用数を `sekisho offer list` で確認してください。";
        step "Wait, or ask the operator for more: `sekisho offer update SITE NAME --gpus N`."
             "空きを待つか、`sekisho offer update SITE NAME --gpus N` で増やしてもらってください。";
        said "tokyo-1 offers 64 h100, 64 are used";
    OfferVetoed:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: every site that is left belongs to an operator that takes no work of this tenant, or not this job. What ran there when the veto was made is moved."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。残った拠点の事業者はすべて、このテナントまたはこのジョブを受け入れていません。拒否の時点で動いていたものは移されます。";
        step "See who vetoes what, and why: `sekisho veto list`. Federation-admins and auditors see all of them."
             "どの事業者が何を、なぜ受け入れないかを `sekisho veto list` で確認してください。連合管理者と監査人はすべてを参照できます。";
        step "Ask the operator: only its own administrators run `sekisho veto lift OPERATOR --tenant TENANT`."
             "事業者に確認してください。`sekisho veto lift OPERATOR --tenant TENANT` を実行できるのは、その事業者の管理者だけです。";
        step "Or allow other operators in the job's `residency` and the tenant's policy."
             "または、ジョブの `residency` とテナントのポリシーで他の事業者を許可してください。";
        said "naniwa takes no work of tenant sapporo";
    BudgetExhausted:
        met "Submitters: a budget of the tenant, or of one that it is a part of, has less left in this period than the job may use until its time limit; the job waits. `sekisho job submit` is refused with it where the spec says `over_limit: reject`."
            "ジョブの提出者が遭遇します。テナントまたはその親の予算の残りが、ジョブが時間制限までに使いうる量より少ないため、ジョブは待機します。ジョブ仕様に `over_limit: reject` と書いた場合は、`sekisho job submit` がこのコードで拒否されます。";
        step "See what is left, what comes back and when the period ends: `sekisho budget list -o wide`."
             "残り・返却見込み・期間の終わりを `sekisho budget list -o wide` で確認してください。";
        step "Shorten `time_limit`: all of it is charged when the job is placed, and what it does not use is given back at its end."
             "`time_limit` を短くしてください。配置時に全体が計上され、使わなかった分は終了時に戻ります。";
        step "Or have the amount raised: `sekisho budget set TENANT NAME AMOUNT`, which federation-admins of two operators sign."
             "または `sekisho budget set TENANT NAME AMOUNT` で増やしてもらってください。2事業者の連合管理者の署名が必要です。";
        said "budget sapporo/fy-2026 has 120 of 1000 GPU-hours left, the job needs 192";
    BudgetTooSmall:
        met "Submitters: even a whole period of a budget would not cover what the job may use until its time limit. Waiting does not help, so `sekisho job submit` refuses at once where the spec says `over_limit: reject`, and `sekisho job plan` ends with exit 11."
            "ジョブの提出者が遭遇します。一期間の予算の全額でも、ジョブが時間制限までに使いうる量に足りません。待っても解決しないため、ジョブ仕様に `over_limit: reject` と書いた場合は `sekisho job submit` が直ちに拒否し、`sekisho job plan` は終了コード11で終わります。";
        step "See the amounts: `sekisho budget list`."
             "予算の額を `sekisho budget list` で確認してください。";
        step "Shorten `time_limit`, ask for fewer GPUs, or split the work into several jobs."
             "`time_limit` を短くするか、GPU数を減らすか、複数のジョブに分けてください。";
        step "Or have the amount raised: `sekisho budget set TENANT NAME AMOUNT`."
             "または `sekisho budget set TENANT NAME AMOUNT` で増やしてもらってください。";
        said "budget sapporo/daily has 100 of 100 GPU-hours left, the job needs 192";
    QuotaContradicts:
        met "Federation-admins, at `sekisho quota set` and `sekisho tenant update`: a tenant without parts would lend more than its own limit, or one without a parent would borrow."
            "連合管理者が `sekisho quota set` と `sekisho tenant update` で遭遇します。部分を持たないテナントが自分の上限より多く貸し出すか、親のないテナントが借用する設定になります。";
        step "See the numbers as they stand: `sekisho quota get TENANT CLASS`, and the tree: `sekisho tenant list`."
             "現在の数値は `sekisho quota get TENANT CLASS`、階層は `sekisho tenant list` で確認してください。";
        step "Lend at most the limit: `sekisho quota set TENANT CLASS LIMIT --lend LIMIT`."
             "貸出は上限以内にしてください(`sekisho quota set TENANT CLASS LIMIT --lend LIMIT`)。";
        step "Before a tenant loses its parent, end what it borrows: `sekisho quota set TENANT CLASS LIMIT --borrow none`."
             "テナントを親から外す前に、`sekisho quota set TENANT CLASS LIMIT --borrow none` で借用をなくしてください。";
        said "sapporo has no parent to borrow from";
    TenantTree:
        met "Federation-admins, at `sekisho tenant create` and `sekisho tenant update`: with this parent the tenant would be a part of itself, or the tree would have more than 8 levels."
            "連合管理者が `sekisho tenant create` と `sekisho tenant update` で遭遇します。この親を指定すると、テナントが自身の一部になるか、階層が8段を超えます。";
        step "See which tenant is a part of which: `sekisho tenant list`."
             "どのテナントがどのテナントの一部かを `sekisho tenant list` で確認してください。";
        step "Choose a parent that is no part of the tenant: `sekisho tenant update TENANT --parent TENANT`; `none` takes it out of its parent."
             "テナントの一部でない親を選んでください(`sekisho tenant update TENANT --parent TENANT`)。`none` で親から外せます。";
        said "hokkaido is a part of sapporo";
    BudgetPast:
        met "Federation-admins, at `sekisho budget set` with `--from` and `--until`: all of that time is over, by the federation's clock."
            "連合管理者が `--from` と `--until` を付けた `sekisho budget set` で遭遇します。その期間は、連合の時計ではすでに終わっています。";
        step "Give an end that is still to come, or a period that begins anew: `sekisho budget set TENANT NAME AMOUNT --unit UNIT --period PERIOD`."
             "未来の終了時刻か、繰り返しの期間を指定してください(`sekisho budget set TENANT NAME AMOUNT --unit UNIT --period PERIOD`)。";
        step "See the budgets that there are: `sekisho budget list`."
             "既存の予算は `sekisho budget list` で確認できます。";
        said "period: ended at 2026-07-01T00:00:00.000Z";
    ReservationNoRoom:
        met "Administrators of an operator, at `sekisho reservation create`: at some moment of the time asked for, what is reserved at the site together with this would be more than what the site offers then. An offer that excludes one of the holders counts for none of them."
            "事業者の管理者が `sekisho reservation create` で遭遇します。指定した期間のある時点で、その拠点の予約の合計が提供台数を超えます。予約を持つテナントのいずれかを対象外とする提供は、数に入りません。";
        step "See what is offered, from when and until when: `sekisho offer list --site SITE -o wide`."
             "提供の台数と期間を `sekisho offer list --site SITE -o wide` で確認してください。";
        step "See what is reserved there: `sekisho reservation list -o wide`."
             "すでにある予約を `sekisho reservation list -o wide` で確認してください。";
        step "Reserve fewer GPUs or another time, or offer more first: `sekisho offer update SITE NAME --gpus N`. A reservation without an end needs offers without an end."
             "台数か期間を変えるか、先に `sekisho offer update SITE NAME --gpus N` で提供を増やしてください。期限のない予約には、期限のない提供が必要です。";
        said "8 h100 more than tokyo-1 offers would be reserved at once";
    ReservationPast:
        met "Administrators of an operator, at `sekisho reservation create` with `--until` and at `sekisho reservation update`: the whole time of the reservation is over, by the federation's clock."
            "事業者の管理者が `--until` を付けた `sekisho reservation create` や `sekisho reservation update` で遭遇します。予約の期間は、連合の時計ではすでに終わっています。";
        step "Make one that ends in the future, or leave `--until` out: `sekisho reservation create TENANT NAME --site SITE --class C --gpus N --until TIME`."
             "未来に終わる予約を作るか、`--until` を省いてください(`sekisho reservation create TENANT NAME --site SITE --class C --gpus N --until TIME`)。";
        step "See the reservations that there are: `sekisho reservation list`."
             "既存の予約は `sekisho reservation list` で確認できます。";
        said "until: is over";
    OfferReserved:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: enough GPUs are offered and free, but what is left of them is reserved for others, now or from a moment on that comes before the job's time limit would end. A job that was moved says so, too, where a reservation asked for its GPUs at once."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。提供中のGPUは空いていますが、残りは他者のために予約されています。予約は現在のものか、ジョブの時間制限より前に始まるものです。予約の開始で移されたジョブにも、このコードが示されます。";
        step "See the times: `sekisho job explain JOB` names the site, how many and from when to when."
             "拠点・台数・期間は `sekisho job explain JOB` に表示されます。";
        step "Shorten `time_limit`, so that the job ends two minutes before the reservation begins: it may use the GPUs until then."
             "`time_limit` を短くし、予約開始の2分前までに終わるようにしてください。それまではGPUを使えます。";
        step "Or wait for its end, allow other sites in `residency`, or ask the operator for an offer of more."
             "または予約の終了を待つか、`residency` で他の拠点を許可するか、事業者に提供を増やしてもらってください。";
        said "not reserved for others: tokyo-1 16 2026-12-01T00:00:00.000Z/2026-12-02T00:00:00.000Z";
    ReservationNone:
        met "Submitters: the job's spec names a `reservation`, and neither its tenant nor one above it has one of this name that could hold the job: of its class, of as many GPUs as the whole group, and lasting until the job's time limit has ended. `sekisho job submit` refuses it; a job that waits meets it when the reservation is taken out."
            "ジョブの提出者が遭遇します。ジョブ仕様に `reservation` がありますが、テナントにも上位のテナントにも、種別・台数・期間のすべてがジョブに足りるその名前の予約がありません。`sekisho job submit` が拒否します。待機中に予約が削除された場合も、このコードになります。";
        step "See the tenant's reservations: `sekisho reservation list --tenant TENANT -o wide`."
             "テナントの予約を `sekisho reservation list --tenant TENANT -o wide` で確認してください。";
        step "Correct the name, ask for fewer GPUs or a shorter `time_limit`, or leave `reservation` out: the tenant's work uses its reservations in any case."
             "名前を直すか、GPU数や `time_limit` を減らすか、`reservation` を外してください。指定しなくても、テナントのジョブは予約を使います。";
        step "Or ask the operator of the site for one: only its own administrators run `sekisho reservation create`."
             "または拠点の事業者に依頼してください。`sekisho reservation create` を実行できるのは、その事業者の管理者だけです。";
        said "sapporo has no reservation night for h100, that many and that long";
    ReservationFull:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: the reservation that the job names is there, but its time has not come, or other work of its holder uses so much of it that the job's members do not fit."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。指定した予約はありますが、まだ始まっていないか、同じテナントの他のジョブが使っていて残りが足りません。";
        step "See when it begins and how much of it is in use: `sekisho reservation get TENANT NAME`."
             "開始と使用量を `sekisho reservation get TENANT NAME` で確認してください。";
        step "Wait, or leave `reservation` out of the spec, so that the job may stand on other GPUs as well."
             "待つか、ジョブ仕様から `reservation` を外して他のGPUも使えるようにしてください。";
        said "reservation night of sapporo begins at 2026-12-01T00:00:00.000Z";
}
