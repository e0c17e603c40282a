/* Records of text files: the first byte chooses the kind. */
#include "formats/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const fields[] = {"text", "b"};
    tuff_records *records = NULL;
    if (size == 0) return 0;
    tuff_records_kind kind = (tuff_records_kind)(TUFF_RECORDS_LINES + data[0] % 4);
    size_t n = data[0] / 4 % 3;
    if (tuff_records_of_text((const char *)data + 1, size - 1, "fuzz", kind, fields, n, &records) != TUFF_OK)
        return 0;
    for (bool there = true; there;) {
        tuff_view values[TUFF_RECORD_FIELDS];
        uint64_t before, after, total;
        tuff_records_position(records, &before, &total);
        tuff_status status = tuff_records_next(records, values, &there);
        tuff_records_position(records, &after, &total);
        if (after > total || after < before) __builtin_trap();
        if (status != TUFF_OK) there = after > before; /* a record that failed is passed over */
        for (size_t i = 0; status == TUFF_OK && there && i < (n ? n : 1); i++)
            if (values[i].size && !values[i].data) __builtin_trap();
    }
    tuff_records_close(&records);
    return 0;
}
