//! Codes about the audit log and who watches it.

pages! {
    JournalShrunk:
        met "A member that hands in the head of its journal of denials, and an earlier entry of the log says that it was longer, or another one of that length. The refusal is itself a record, so every auditor sees it."
            "メンバーが拒否記録の先頭を提出したとき、ログの以前の記録ではより長かった、または同じ長さで内容が異なる場合に発生します。この拒否自体が記録に残るため、すべての監査人に見えます。";
        step "See which member it is, and ask its operator what was done to its data directory: `sekisho member list`."
             "どのメンバーかを `sekisho member list` で確認し、データディレクトリに何をしたか、その事業者に尋ねてください。";
        step "Compare with an earlier export: `sekisho audit verify FILE --earlier EARLIER` names the entries that are missing."
             "以前の書き出しと `sekisho audit verify FILE --earlier EARLIER` で比べると、欠けている項目が分かります。";
        said "the journal of member 2 had 120 entries and another head: 80 now";
    AuditFork:
        met "Auditors and members: two heads of the audit log were signed that cannot both be true. A member that meets such a note keeps it for good; one that members of k operators contradict signs nothing more; `sekisho audit watch` and `sekisho audit verify` end with it."
            "監査人とメンバーが遭遇します。両立しない監査ログの先頭が2つ署名されました。それを受け取ったメンバーは証拠として永久に保管し、k事業者のメンバーから矛盾を示されたメンバーは署名を停止します。`sekisho audit watch` と `sekisho audit verify` はこのコードで終了します。";
        step "Stop no member and delete nothing. Tell every operator, by voice."
             "メンバーを停止せず、何も削除せず、すべての事業者に電話などで知らせてください。";
        step "Export from a member of each operator, and verify each: `sekisho audit export FILE`, `sekisho audit verify FILE`."
             "各事業者のメンバーから `sekisho audit export FILE` で書き出し、それぞれ `sekisho audit verify FILE` で検証してください。";
        step "Take out the member whose history differs: docs/runbooks/fork.md."
             "履歴の異なるメンバーを外してください。手順は docs/runbooks/fork.md にあります。";
        said "member 3 signed another root at 4711 records";
}
