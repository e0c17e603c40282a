/* Libraries stay loaded until the process ends. Drivers keep some memory for their whole life, and the leak
 * sanitizer names who allocated it only while that library is mapped: one that the Vulkan loader has unloaded
 * is "<unknown module>", which no line of lsan.supp can name. Linked into the programs of a build with the
 * address sanitizer, in place of the C library's function of that name. */
__attribute__((visibility("default"))) int dlclose(void *library);

int dlclose(void *library)
{
    (void)library;
    return 0;
}
