#include "train/groups.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool tuff_group_decays(const tuff_param *param)
{
    return tuff_param_is_matrix(param) && !strstr(param->name, "bias");
}

/* The number of a tensor's layer, the first among the parts of its name; -1: it is of none. */
static int64_t layer_of(const char *name)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
        if (isdigit((unsigned char)dot[1])) return strtoll(dot + 1, NULL, 10);
    return -1;
}

int64_t tuff_group_above(const tuff_config *config, const tuff_trained *t)
{
    const int64_t below = config->encoder ? config->encoder->layers : 0, all = below + config->layers;
    const bool encoder = config->encoder && strstr(t->name, "encoder.");
    const int64_t layer = layer_of(t->name);
    const bool rows = strstr(t->name, ".trainable_tokens_delta") && !strstr(t->name, "head.");
    if (t->table || (layer < 0 && (rows || strstr(t->name, "embed")))) return all + 1;
    if (layer < 0) return encoder ? config->layers : 0;
    return all - layer - (encoder ? 0 : below);
}

void tuff_group_set(const tuff_groups *groups, const tuff_config *config, tuff_trained *t)
{
    double rate = 1;
    if (groups->layerwise_decay > 0) rate = pow(groups->layerwise_decay, (double)tuff_group_above(config, t));
    if (groups->loraplus_ratio > 0) {
        if (strstr(t->name, "lora_embedding"))
            rate *= groups->learning_rate > 0 ? groups->loraplus_embedding / groups->learning_rate : 1;
        else if (strstr(t->name, "lora_B") || t->rank == 1)
            rate *= groups->loraplus_ratio;
    }
    t->lr_scale = rate;
}
