/* In which types the tensors of a file are written. */
#ifndef TUFF_MODELS_MIX_H
#define TUFF_MODELS_MIX_H

#include "formats/save.h"
#include "models/arch.h"

typedef enum tuff_mix {
#define TUFF_MIX(NAME, name, type, file_type) TUFF_MIX_##NAME,
#include "models/mixes.def"
    TUFF_MIX_COUNT
} tuff_mix;

typedef struct tuff_mix_info {
    const char *name;   /* "q4_k_m" */
    tuff_storage type;  /* of most tensors */
    uint32_t file_type; /* in a GGUF */
} tuff_mix_info;
const tuff_mix_info *tuff_mix_get(tuff_mix mix);
/* TUFF_MIX_COUNT: there is none of the name. */
tuff_mix tuff_mix_of(const char *name);

/* Sets the types of a GGUF's matrices and tables, those of all other tensors being f32; all tensors of the
 * file are listed. `weighed`: errors are, by importances. */
void tuff_mix_apply(tuff_mix mix, const tuff_config *config, bool weighed, tuff_save_item *items,
                    size_t count);

#endif
