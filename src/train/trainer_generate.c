/* What the model says while it is trained: a generator on the trainer's own weights. */
#include "base/structs.h"
#include "generate/generator.h"
#include "train/answering.h"
#include "train/trainer.h"

tuff_status tuff_trainer_answer(tuff_trainer *t, const tuff_dataset *data, tuff_eval_result *out_result)
{
    const tuff_lm *lm = &t->runs.lm;
    const tuff_answering how = {t->params.per_device_train_batch_size, t->params.use_stemmer, lm->watch};
    TUFF_TRY(tuff_trainer_prepare(t)); /* what the training needs has its place first */
    const tuff_loaded loaded = {t->model, t->device, t->store, lm->adapter, lm->trains_model};
    tuff_trainer_exchange_averages(t); /* its programs are bound to them */
    const tuff_status status = tuff_answer(&loaded, data, &how, out_result);
    tuff_trainer_exchange_averages(t);
    return status;
}

static tuff_status generate(tuff_trainer *t, const char *prompt, size_t size,
                            const tuff_generate_params *params, tuff_generate_result *out_result)
{
    const tuff_lm *lm = &t->runs.lm;
    tuff_generator *generator = NULL;
    tuff_generator_params own = TUFF_GENERATOR_PARAMS_INIT;
    own.watch = lm->watch;
    TUFF_TRY(tuff_trainer_prepare(t)); /* what the training needs has its place first */
    const tuff_loaded loaded = {t->model, t->device, t->store, lm->adapter, lm->trains_model};
    tuff_trainer_exchange_averages(t); /* its programs are bound to them */
    tuff_status status = tuff_generator_create_loaded(&loaded, &own, &generator);
    if (status == TUFF_OK) status = tuff_generate(generator, prompt, size, params, out_result);
    tuff_generator_destroy(&generator);
    tuff_trainer_exchange_averages(t);
    return status;
}

tuff_status tuff_trainer_generate(tuff_trainer *t, const char *prompt, size_t size,
                                  const tuff_generate_params *params, tuff_generate_result *out_result)
{
    TUFF_NEED(t);
    TUFF_NEED_MANY(prompt, size);
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT; /* what is wrong shows before anything is done */
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATE_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_GENERATE_RESULT_INIT, prompt_rate));
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, generate(t, prompt, size, &p, out_result));
}
