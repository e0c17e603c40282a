/* A model whose weights are those of another with an adapter in them, which is added as they are read. */
#include "base/memory.h"
#include "models/model.h"

static tuff_status copy_json(const cJSON *from, cJSON **out)
{
    *out = from ? cJSON_Duplicate(from, true) : NULL;
    return *out || !from ? TUFF_OK : tuff_fail_memory("the config of a merged model");
}

tuff_status tuff_merge_rows(const tuff_merge *merge, const tuff_param *param, int64_t begin, int64_t end,
                            float *values)
{
    if (merge->first) TUFF_TRY(tuff_merge_rows(merge->first, param, begin, end, values));
    if (!merge->changes(merge->self, param)) return TUFF_OK;
    return merge->rows(merge->self, param, begin, end, values);
}

static tuff_status build(tuff_model *model)
{
    const tuff_model *base = model->base;
    TUFF_TRY(copy_json(base->hf_config, &model->hf_config));
    TUFF_TRY(copy_json(base->new_labels, &model->new_labels));
    TUFF_TRY(tuff_model_list_params(model));
    for (size_t i = 0; i < model->params.count; i++) {
        tuff_param *p = &model->params.items[i];
        tuff_param_inherit(p, tuff_params_find(&base->params, p->name)); /* of one config, which has it */
        p->merged = p->merged || model->merge.changes(model->merge.self, p);
        if (p->merged) p->stored = TUFF_F32;
    }
    return TUFF_OK;
}

tuff_status tuff_model_with_merge(const tuff_model *base, tuff_merge merge, tuff_model **out_model)
{
    *out_model = NULL;
    tuff_model *model = tuff_alloc(sizeof *model);
    if (!model) {
        merge.free(merge.self);
        return tuff_fail_memory("a model");
    }
    tuff_model_derive(base, model);
    model->merge = merge;
    model->merge.first = base->merge.rows ? &base->merge : NULL;
    tuff_status status = build(model);
    if (status != TUFF_OK)
        tuff_model_destroy(&model);
    else
        *out_model = model;
    return status;
}
