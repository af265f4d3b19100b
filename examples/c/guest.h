/* What both plugins need of ../../wit/GUESTS.md: names, the return area, memory. */
#pragma once

#include <stdint.h>

#define EXPORT(interface, name) __attribute__((export_name("duet:plugin/" interface "@0.1.0#" name)))
#define IMPORT(interface, name) __attribute__((import_module("duet:plugin/" interface "@0.1.0"), import_name(name)))

/* A string literal as the two parameters that the contract makes of a string. */
#define TEXT(literal) literal, sizeof literal - 1

/* Returns two or three numbers to the host, which reads them before it calls again: one area is enough for all exports. */
static uint32_t *returned(uint32_t first, uint32_t second, uint32_t third) {
    static uint32_t area[3];
    area[0] = first, area[1] = second, area[2] = third;
    return area;
}

/* The linker puts this symbol after the last static variable. */
extern uint8_t __heap_base;
static uint32_t heap_used;

/* Room on the heap, one piece after the other. All of it is free again once `heap_used` is 0. */
static void *room(uint32_t align, uint32_t bytes) {
    uint32_t begin = ((uint32_t)&__heap_base + heap_used + align - 1) / align * align;
    uint64_t end = (uint64_t)begin + bytes, there = __builtin_wasm_memory_size(0) * 65536ull;
    if (end > there && __builtin_wasm_memory_grow(0, (end - there + 65535) / 65536) == (uint32_t)-1) __builtin_trap();
    heap_used = (uint32_t)end - (uint32_t)&__heap_base;
    return (void *)begin;
}

/* The host asks for room here before it hands over a string or a list. It never asks for more room for an old one. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, uint32_t old_bytes, uint32_t align, uint32_t bytes) {
    if (old || old_bytes) __builtin_trap();
    return room(align, bytes);
}
