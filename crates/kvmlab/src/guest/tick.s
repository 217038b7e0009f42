# A guest in one sector that proves that it was never interrupted, copied back or run twice.
#
# It counts about once a second (PERIOD ticks of 55 ms). Each count goes to the disk first and to the serial port then:
#   "\nT" life "\n"    once, at its start; the life is one more than the disk says that it had before
#   count "\n"         8 hex digits, each one more than the one before
#   "!"                before a count that could not be written to the disk
#   "O\n"              the power button was pressed; it switches itself off
# Sectors 1 to 62 in turn hold magic, life, count; sector 63 holds magic, life.
#
# Assemble: as --32 -o tick.o tick.s; ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o tick.bin tick.o

    .intel_syntax noprefix
    .code16
    .equ magic,  0x4b54424c         # "LBTK"
    .equ drive,  0x7e00
    .equ life,   0x7e04
    .equ count,  0x7e08
    .equ buffer, 0x8000
    .equ ticks,  0x046c             # of the BIOS; only its changes are used: it falls to 0 at midnight

    .globl _start
_start:
    jmp short begin
period:                             # at offset 2
    .word 18
begin:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    cld
    mov [drive], dl
    mov dx, 0x602                   # enable the power button's bit
    in ax, dx
    or ah, 1
    out dx, ax

    mov dword ptr [lba], 63
    mov ah, 0x42
    call disk
    mov eax, 1
    cmp dword ptr [buffer], magic
    jne new
    add eax, [buffer + 4]
new:
    mov dword ptr [buffer], magic
    mov [buffer + 4], eax
    mov [life], eax
    mov dword ptr [count], 0
    mov ah, 0x43
    call disk
    mov al, '\n'
    call putc
    mov al, 'T'
    call putc
    mov eax, [life]
    call line

next:
    mov cx, [period]
tick:
    mov bx, [ticks]
same:
    hlt
    mov dx, 0x600
    in ax, dx
    test ah, 1
    jnz off
    cmp bx, [ticks]
    je same
    loop tick

    inc dword ptr [count]
    mov eax, [count]
    mov [buffer + 8], eax
    xor edx, edx
    mov ecx, 62
    div ecx
    inc edx
    mov [lba], edx
    mov ah, 0x43
    call disk
    jnc kept
    mov al, '!'
    call putc
kept:
    mov eax, [count]
    call line
    jmp next

off:
    mov al, 'O'
    call putc
    mov al, '\n'
    call putc
    mov dx, 0x604
    mov ax, 0x2000
    out dx, ax
halt:
    hlt
    jmp halt

disk:                               # ah: 0x42 reads, 0x43 writes one sector; carry: it failed
    mov al, 0
    mov dl, [drive]
    mov si, offset dap
    int 0x13
    ret

line:                               # eax as 8 hex digits and the end of a line
    mov cx, 8
digit:
    rol eax, 4
    push eax
    and al, 15
    add al, '0'
    cmp al, '9'
    jbe decimal
    add al, 'a' - '0' - 10
decimal:
    call putc
    pop eax
    loop digit
    mov al, '\n'
putc:                               # al to COM1
    mov ah, al
    mov dx, 0x3fd
full:
    in al, dx
    test al, 0x20
    jz full
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    ret

dap:
    .byte 16, 0
    .word 1, buffer, 0
lba:
    .long 0, 0

    .org 510
    .word 0xaa55
