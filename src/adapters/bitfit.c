/* BitFit (Ben Zaken et al. 2022): the model's biases are trained, and nothing else. PEFT has no type of that
 * name, but a LoRA that adapts no module and trains all biases is one: it is written as such, a file of a few
 * numbers, which PEFT loads, and read with the LoRAs (adapters/lora.c). */
#include "adapters/adapter.h"

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    const tuff_model *model = a->model;
    (void)s;
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        if (tuff_param_is_bias(p) && !p->whole) TUFF_TRY(tuff_adapter_add_whole(a, p, NULL));
    }
    if (a->whole_count) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: BitFit trains biases, of which this %s model has none; take LoRA or IA3",
                     model->path, model->config.arch->name);
}

/* The rank and alpha are PEFT's presets: no module has them. */
static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const tuff_peft_config config = {.base_model = card->base,
                                     .task_type = card->task_type,
                                     .rank = 8,
                                     .alpha = 8,
                                     .bias = "all",
                                     .target_text = TUFF_PEFT_NO_TARGETS,
                                     .modules = card->modules,
                                     .module_count = card->module_count};
    (void)a;
    tuff_peft_config_print(&config, out);
    return TUFF_OK;
}

const tuff_method tuff_method_bitfit = {.peft_type = "BITFIT",
                                        .title = "BitFit",
                                        .whole_prefix = TUFF_PEFT_PREFIX,
                                        .create = create,
                                        .describe = describe};
