/* What methods with virtual tokens share: how many there may be, and what adapter_config.json says of them.
 */
#include "adapters/virtual.h"

enum { MOST = 65536 };

tuff_status tuff_virtual_check(const tuff_adapter *a, int64_t tokens, const char *what)
{
    const tuff_config *c = &a->model->config;
    int64_t most = c->learned_positions && c->max_positions <= MOST ? c->max_positions - 1 : MOST;
    if (tokens >= 1 && tokens <= most) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %lld, expected 1 to %lld", what, (long long)tokens,
                     (long long)most);
}

tuff_status tuff_virtual_read(const tuff_adapter *a, int64_t *out_tokens)
{
    const char *file = a->files->config_path;
    *out_tokens = 0;
    TUFF_TRY(tuff_json_int(a->files->config, "num_virtual_tokens", file, out_tokens));
    return tuff_note(tuff_virtual_check(a, *out_tokens, "'num_virtual_tokens'"), "%s", file);
}

void tuff_virtual_put(const tuff_adapter *a, const tuff_adapter_card *card, int64_t heads, tuff_buf *out)
{
    tuff_peft_put_bool(out, "inference_mode", true);
    tuff_peft_put_modules(out, card->modules, card->module_count);
    tuff_peft_put_number(out, "num_attention_heads", (double)heads);
    tuff_peft_put_number(out, "num_layers", (double)a->model->config.layers);
    tuff_peft_put_number(out, "num_transformer_submodules", 1);
    tuff_peft_put_number(out, "num_virtual_tokens", (double)a->virtual_tokens);
    tuff_peft_put_text(out, "peft_type", a->method->peft_type);
}
