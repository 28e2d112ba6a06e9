# cmake -DINPUT=FILE -DOUTPUT=FILE.inc -P EmbedBytes.cmake: the bytes of a file as numbers for an array.
set(five ".........................") # five times "0x12,", 25 characters
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(${five}${five}${five}${five})" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "${bytes}\n")
