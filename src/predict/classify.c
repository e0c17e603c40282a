/* Classes of texts. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "models/model.h"
#include "predict/predictor.h"

static tuff_scoring scoring_of(const tuff_predictor *p, tuff_scoring wanted)
{
    tuff_problem problem = p->model->config.problem;
    if (wanted != TUFF_SCORING_MODEL) return wanted;
    if (problem == TUFF_PROBLEM_REGRESSION) return TUFF_SCORING_NONE;
    return problem == TUFF_PROBLEM_MULTI_LABEL || p->outputs == 1 ? TUFF_SCORING_SIGMOID
                                                                  : TUFF_SCORING_SOFTMAX;
}

static void score(tuff_scoring scoring, float *x, int64_t n)
{
    if (scoring == TUFF_SCORING_SOFTMAX) tuff_predict_softmax(x, n);
    for (int64_t i = 0; scoring == TUFF_SCORING_SIGMOID && i < n; i++)
        x[i] = (float)(1 / (1 + exp(-(double)x[i])));
}

static tuff_status classify(tuff_predict_call *call, tuff_scoring wanted, float *out_scores)
{
    const tuff_predictor *p = call->predictor;
    const tuff_encode_params params = tuff_predict_encode_params(call);
    const size_t labels = (size_t)p->outputs;
    for (size_t i = 0; i < call->n; i++)
        TUFF_TRY(tuff_predict_encode(call, i, &params));
    TUFF_TRY(tuff_predict_run(call));
    for (size_t i = 0; i < call->n; i++)
        score(scoring_of(p, wanted), call->rows + i * labels, p->outputs);
    if (call->n) memcpy(out_scores, call->rows, call->n * labels * sizeof *out_scores);
    return TUFF_OK;
}

tuff_status tuff_classify(tuff_predictor *predictor, const tuff_predict_input *inputs, size_t n,
                          const tuff_classify_params *params, float *out_scores,
                          tuff_predict_result *out_result)
{
    TUFF_NEED(predictor);
    TUFF_NEED_MANY(inputs, n);
    TUFF_NEED_MANY(out_scores, n);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_PREDICT_RESULT_INIT, truncated));
    tuff_classify_params given = TUFF_CLASSIFY_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&given, params, TUFF_CLASSIFY_PARAMS_INIT, watch));
    if (given.scoring < TUFF_SCORING_MODEL || given.scoring > TUFF_SCORING_NONE)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no scoring %d", (int)given.scoring);
    tuff_predict_call call = {.predictor = predictor, .inputs = inputs, .n = n};
    tuff_status status = tuff_predict_begin(&call, TUFF_PREDICT_CLASSES, given.watch);
    if (status == TUFF_OK) status = classify(&call, given.scoring, out_scores);
    return tuff_predict_end(&call, status, out_result);
}
