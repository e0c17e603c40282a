#include "train/frozen.h"

#include "runtime/device.h"

static tuff_status open_frozen(tuff_frozen *f, tuff_device *device, const char *adapter,
                               tuff_lm_program_fn make_program)
{
    if (adapter) TUFF_TRY(tuff_lora_open(f->lm.model, adapter, &device->log, &f->lm.lora));
    TUFF_TRY(make_program(&f->lm, device, &f->program));
    TUFF_TRY(tuff_store_create(device, &f->store));
    TUFF_TRY(tuff_lm_upload(&f->lm, f->store));
    return tuff_store_bind(f->store, f->program);
}

tuff_status tuff_frozen_open(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                             int64_t batch, const char *adapter, tuff_lm_program_fn make_program,
                             const tuff_watch *watch, tuff_frozen *out_frozen)
{
    *out_frozen = (tuff_frozen){.lm = {.model = model,
                                       .batch = batch,
                                       .length = data->block_size,
                                       .rope_positions = data->block_size,
                                       .watch = watch}};
    TUFF_TRY(tuff_lm_check_data(model, data));
    tuff_status status = open_frozen(out_frozen, device, adapter, make_program);
    if (status != TUFF_OK) tuff_frozen_close(out_frozen);
    return status;
}

void tuff_frozen_close(tuff_frozen *frozen)
{
    tuff_program_destroy(&frozen->program);
    tuff_store_destroy(&frozen->store);
    tuff_lora_destroy(&frozen->lm.lora);
}
