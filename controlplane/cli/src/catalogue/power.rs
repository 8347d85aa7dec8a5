//! Codes about the power cap of a site.

pages! {
    PowerFull:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: enough GPUs are free and offered, but the site's operator caps what devices there may draw together, and what runs leaves too little of it. Also after the cap was lowered: what runs goes on, and nothing more comes until it fits again."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。GPUは空いていて提供もされていますが、拠点の事業者が電力の合計に上限を設けており、実行中の配置を除いた残りが足りません。上限を下げた後も同様です。実行中のものは続き、上限に収まるまで新しい配置は行われません。";
        step "See how many watts are in use of which cap: `sekisho site list -o wide`."
             "使用量と上限を `sekisho site list -o wide` で確認してください。";
        step "Wait, allow other sites in `residency`, ask for fewer GPUs, or make the group smaller: `sekisho job explain JOB` says what would do."
             "空きを待つか、`residency` で他の拠点を許可するか、GPU数やメンバー数を減らしてください。有効な変更は `sekisho job explain JOB` に表示されます。";
        step "Only administrators of the site's own operator raise the cap: `sekisho site power-cap SITE --watts N`."
             "上限を上げられるのは、拠点の事業者の管理者だけです(`sekisho site power-cap SITE --watts N`)。";
        said "not beyond a power cap: tokyo-1 1200/5600 W (2800 W)";
    PowerTooSmall:
        met "Submitters, in `sekisho job plan` and `sekisho job explain`: at every site that is left, the GPUs of one member alone may draw more than the site's power cap. Waiting does not help."
            "ジョブの提出者が `sekisho job plan` と `sekisho job explain` で遭遇します。残ったすべての拠点で、メンバー1つ分のGPUの定格電力だけで電力上限を超えます。待っても解決しません。";
        step "See the cap of each site: `sekisho site list -o wide`; and what a device may draw: `sekisho node get SITE/NODE`."
             "各拠点の上限は `sekisho site list -o wide`、デバイスの定格電力は `sekisho node get SITE/NODE` で確認してください。";
        step "Ask for fewer GPUs a member and more members, for another class, or allow other sites in `residency`."
             "メンバーあたりのGPU数を減らしてメンバー数を増やすか、別の種別や、`residency` で他の拠点を許可してください。";
        step "Or have the site's operator raise its cap: `sekisho site power-cap SITE --watts N`."
             "または拠点の事業者に上限を上げてもらってください(`sekisho site power-cap SITE --watts N`)。";
        said "no member above its site's power cap";
}
