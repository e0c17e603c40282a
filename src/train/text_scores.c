#include "train/text_scores.h"

tuff_status tuff_text_scores_add(tuff_text_scores *s, tuff_view said, tuff_view truth)
{
    tuff_rouge rouge;
    TUFF_TRY(tuff_bleu_add(&s->bleu, said, truth));
    TUFF_TRY(tuff_chrf_add(&s->chrf, said, truth));
    TUFF_TRY(tuff_rouge_score(said, truth, s->stem, &rouge));
    s->rouge.one += rouge.one;
    s->rouge.two += rouge.two;
    s->rouge.l += rouge.l;
    s->rouge.l_sum += rouge.l_sum;
    s->exact += tuff_view_equal(said, truth);
    s->texts++;
    return TUFF_OK;
}

void tuff_text_scores_put(const tuff_text_scores *s, tuff_eval_result *out)
{
    const double n = (double)s->texts;
    tuff_eval_put(out, "bleu", tuff_bleu_score(&s->bleu));
    tuff_eval_put(out, "chrf", tuff_chrf_score(&s->chrf));
    tuff_eval_put(out, "rouge1", s->rouge.one / n);
    tuff_eval_put(out, "rouge2", s->rouge.two / n);
    tuff_eval_put(out, "rougeL", s->rouge.l / n);
    tuff_eval_put(out, "rougeLsum", s->rouge.l_sum / n);
    tuff_eval_put(out, "exact_match", (double)s->exact / n);
}
