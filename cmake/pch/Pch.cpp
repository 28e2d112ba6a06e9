// Carries the precompiled headers of Pch.h; nothing else.
