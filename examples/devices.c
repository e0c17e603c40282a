/* Lists the devices Tuff can compute on, the default one first. */
#include <stdio.h>
#include <stdlib.h>
#include <tuff/tuff.h>

int main(void)
{
    static const char *const types[] = {"discrete", "integrated", "virtual", "cpu", "software"};
    size_t count, room;
    if (tuff_list_devices(NULL, 0, &count) != TUFF_OK) {
        fprintf(stderr, "%s\n", tuff_error_message());
        return 1;
    }
    room = count;
    tuff_device_info *devices = calloc(room, sizeof *devices);
    if (devices) devices[0] = (tuff_device_info)TUFF_DEVICE_INFO_INIT;
    if (!devices || tuff_list_devices(devices, room, &count) != TUFF_OK) {
        fprintf(stderr, "%s\n", devices ? tuff_error_message() : "out of memory");
        free(devices);
        return 1;
    }
    printf("Tuff %s sees %zu devices\n", tuff_version(), count);
    for (size_t i = 0; i < room && i < count; i++)
        printf("%zu  %-10s %-6s %s (%s)\n", i, types[devices[i].type], devices[i].usable ? "usable" : "no",
               devices[i].name, devices[i].reason);
    free(devices);
    return 0;
}
