# A guest in one sector that proves its memory: PAGES pages from 1 MiB up hold the number of the round. Before round n is
# written, each page must hold n - 1: a page that was dirtied and not sent by a migration does not.
#
#   "\nC" 00000001 "\n"          once, at its start
#   count "\n"                   8 hex digits every REPORT rounds, each one more than the one before
#   "E" value "@" page "\n"      a page held another value
#   "O\n"                        the power button was pressed; it switches itself off
#
# REST = 1 sleeps until the next timer tick after each round: little processor time, and all pages are dirty 18 times a
# second, which no slow link can follow.
#
# Assemble: as --32 -o churn.o churn.s; ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o churn.bin churn.o

    .intel_syntax noprefix
    .code16
    .equ round,  0x7e04
    .equ count,  0x7e08
    .equ left,   0x7e0c

    .globl _start
_start:
    jmp short begin
pages:                              # at offset 2
    .long 256
report:                             # at offset 6
    .long 16384
rest:                               # at offset 10
    .byte 0
begin:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    in al, 0x92                     # address line 20
    or al, 2
    out 0x92, al
    lgdt [table]
    mov eax, cr0                    # fs reaches all of memory, also back in real mode
    or al, 1
    mov cr0, eax
    jmp short protected
protected:
    mov bx, 8
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    jmp short real
real:
    sti
    mov dx, 0x602                   # enable the power button's bit
    in ax, dx
    or ah, 1
    out dx, ax
    mov al, '\n'
    call putc
    mov al, 'C'
    call putc
    mov eax, 1
    call line

    mov edi, 0x100000
    mov ecx, [pages]
clear:
    mov dword ptr fs:[edi], 0
    add edi, 4096
    dec ecx
    jnz clear
    mov dword ptr [round], 0
    mov dword ptr [count], 0

again:
    mov eax, [report]
    mov [left], eax
another:
    mov edi, 0x100000
    mov ecx, [pages]
    mov ebx, [round]
page:
    cmp fs:[edi], ebx
    jne wrong
right:
    inc ebx
    mov fs:[edi], ebx
    dec ebx
    add edi, 4096
    dec ecx
    jnz page
    inc dword ptr [round]
    cmp byte ptr [rest], 0
    je restless
    hlt
restless:
    dec dword ptr [left]
    jnz another
    inc dword ptr [count]
    mov eax, [count]
    call line
    mov dx, 0x600
    in ax, dx
    test ah, 1
    jz again

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

wrong:
    push ecx
    mov al, 'E'
    call putc
    mov eax, fs:[edi]
    call hex
    mov al, '@'
    call putc
    mov eax, edi
    call line
    pop ecx
    jmp right

line:                               # eax as 8 hex digits and the end of a line
    call hex
    mov al, '\n'
    jmp putc
hex:
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
    ret
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

    .balign 4
descriptors:
    .quad 0
    .quad 0x00cf92000000ffff        # data, 4 GiB from 0
table:
    .word 15
    .long descriptors

    .org 510
    .word 0xaa55
