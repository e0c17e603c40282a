/* Masked words. */
#include "base/memory.h"
#include "base/structs.h"
#include "predict/predictor.h"

static tuff_status no_mask(const tuff_predict_call *call, size_t i)
{
    const tuff_predictor *p = call->predictor;
    const tuff_piece mask = tuff_tokenizer_token(p->tokenizer, p->mask);
    if (call->encodings[i]->lost[0])
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "input %zu has no %.*s among the %lld tokens that the model sees of it", i,
                         (int)mask.size, mask.data, (long long)p->packed.max_length);
    return tuff_fail(TUFF_INVALID_ARGUMENT, "input %zu has no %.*s: there is nothing to fill", i,
                     (int)mask.size, mask.data);
}

static tuff_status fill(tuff_predict_call *call, size_t *out_masks, tuff_guess **out_guesses)
{
    tuff_encode_params params = tuff_predict_encode_params(call);
    params.flags = TUFF_ENCODE_ADD_SPECIAL; /* masks are special tokens in the text */
    for (size_t i = 0; i < call->n; i++) {
        TUFF_TRY(tuff_predict_encode(call, i, &params));
        if (!call->texts[i].rows) return no_mask(call, i);
        if (call->texts[i].rows > TUFF_PACKED_PICKS)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "input %zu has %zu masks, expected at most %d", i,
                             call->texts[i].rows, TUFF_PACKED_PICKS);
    }
    TUFF_TRY(tuff_predict_run(call));
    const tuff_predict_text *last = call->n ? &call->texts[call->n - 1] : NULL;
    size_t count = last ? (last->start + last->rows) * (size_t)call->predictor->outputs : 0;
    tuff_guess *guesses = tuff_alloc_array(count + 1, sizeof *guesses);
    if (!guesses) return tuff_fail_memory("guesses");
    for (size_t k = 0; k < count; k++)
        guesses[k] = (tuff_guess){.token = call->places[k], .score = call->rows[k]};
    for (size_t i = 0; i < call->n; i++)
        out_masks[i] = call->texts[i].rows;
    *out_guesses = guesses;
    return TUFF_OK;
}

tuff_status tuff_fill_masks(tuff_predictor *predictor, const tuff_predict_input *inputs, size_t n,
                            const tuff_fill_params *params, size_t *out_masks, tuff_guess **out_guesses,
                            tuff_predict_result *out_result)
{
    TUFF_NEED_OUT(out_guesses);
    TUFF_NEED(predictor);
    TUFF_NEED_MANY(inputs, n);
    TUFF_NEED_MANY(out_masks, n);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_PREDICT_RESULT_INIT, truncated));
    tuff_fill_params given = TUFF_FILL_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&given, params, TUFF_FILL_PARAMS_INIT, watch));
    tuff_predict_call call = {.predictor = predictor, .inputs = inputs, .n = n};
    tuff_status status = tuff_predict_begin(&call, TUFF_PREDICT_MASKS, given.watch);
    if (status == TUFF_OK) status = fill(&call, out_masks, out_guesses);
    return tuff_predict_end(&call, status, out_result);
}
