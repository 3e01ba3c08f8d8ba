/*
 * crypt(3) for passwords that sshd checks, SHA-512 only ("$6$", as in crypt(5)): Debian's musl has none, and the DES that
 * sshd would use instead is no protection. The algorithm is that of Ulrich Drepper's specification (public domain).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define LENGTH 64
#define LONGEST_PASSWORD 1024
#define LONGEST_SALT 16

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void add(EVP_MD_CTX *hash, const void *bytes, size_t count)
{
	if (EVP_DigestUpdate(hash, bytes, count) != 1)
		abort();
}

static void begin(EVP_MD_CTX *hash)
{
	if (EVP_DigestInit_ex(hash, EVP_sha512(), NULL) != 1)
		abort();
}

static void end(EVP_MD_CTX *hash, unsigned char *digest)
{
	if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
		abort();
}

/* Adds the digest again and again until count bytes were added. */
static void add_repeated(EVP_MD_CTX *hash, const unsigned char *digest, size_t count)
{
	for (; count > LENGTH; count -= LENGTH)
		add(hash, digest, LENGTH);
	add(hash, digest, count);
}

static void fill(unsigned char *out, const unsigned char *digest, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = digest[i % LENGTH];
}

static char *encode(char *out, unsigned high, unsigned middle, unsigned low, int count)
{
	unsigned word = high << 16 | middle << 8 | low;

	for (; count > 0; count--, word >>= 6)
		*out++ = alphabet[word & 63];
	return out;
}

static void rounds_of(EVP_MD_CTX *hash, unsigned char *digest, const unsigned char *password, size_t password_length,
    const unsigned char *salt, size_t salt_length, unsigned long rounds)
{
	for (unsigned long round = 0; round < rounds; round++) {
		begin(hash);
		if (round & 1)
			add(hash, password, password_length);
		else
			add(hash, digest, LENGTH);
		if (round % 3)
			add(hash, salt, salt_length);
		if (round % 7)
			add(hash, password, password_length);
		if (round & 1)
			add(hash, digest, LENGTH);
		else
			add(hash, password, password_length);
		end(hash, digest);
	}
}

static void digest_of(unsigned char *digest, const char *key, size_t length, const char *salt, size_t salt_length,
    unsigned long rounds)
{
	unsigned char other[LENGTH], salt_bytes[LONGEST_SALT];
	static unsigned char key_bytes[LONGEST_PASSWORD];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash == NULL)
		abort();
	begin(hash);
	add(hash, key, length);
	add(hash, salt, salt_length);
	add(hash, key, length);
	end(hash, other);

	begin(hash);
	add(hash, key, length);
	add(hash, salt, salt_length);
	add_repeated(hash, other, length);
	for (size_t bits = length; bits > 0; bits >>= 1) {
		if (bits & 1)
			add(hash, other, LENGTH);
		else
			add(hash, key, length);
	}
	end(hash, digest);

	begin(hash);
	for (size_t i = 0; i < length; i++)
		add(hash, key, length);
	end(hash, other);
	fill(key_bytes, other, length);

	begin(hash);
	for (unsigned i = 0; i < 16u + digest[0]; i++)
		add(hash, salt, salt_length);
	end(hash, other);
	fill(salt_bytes, other, salt_length);

	rounds_of(hash, digest, key_bytes, length, salt_bytes, salt_length, rounds);
	OPENSSL_cleanse(key_bytes, sizeof(key_bytes));
	EVP_MD_CTX_free(hash);
}

char *crypt(const char *key, const char *setting)
{
	static char result[3 + 17 + LONGEST_SALT + 1 + 86 + 1];
	unsigned char digest[LENGTH];
	unsigned long rounds = 5000;
	size_t length = strlen(key), salt_length;
	int is_given = 0;
	unsigned a = 0, b = 21, c = 42;
	char *out;

	if (strncmp(setting, "$6$", 3) != 0 || length > LONGEST_PASSWORD)
		return NULL;
	setting += 3;
	if (strncmp(setting, "rounds=", 7) == 0) {
		char *after;

		rounds = strtoul(setting + 7, &after, 10);
		if (*after != '$')
			return NULL;
		rounds = rounds < 1000 ? 1000 : rounds > 999999999 ? 999999999 : rounds;
		setting = after + 1;
		is_given = 1;
	}
	salt_length = strcspn(setting, "$");
	if (salt_length > LONGEST_SALT)
		salt_length = LONGEST_SALT;
	digest_of(digest, key, length, setting, salt_length, rounds);
	out = result;
	out += is_given ? sprintf(out, "$6$rounds=%lu$", rounds) : sprintf(out, "$6$");
	memcpy(out, setting, salt_length);
	out += salt_length;
	*out++ = '$';
	for (int i = 0; i < 21; i++) {
		unsigned first = a;

		out = encode(out, digest[a], digest[b], digest[c], 4);
		a = b + 1, b = c + 1, c = first + 1;
	}
	out = encode(out, 0, 0, digest[63], 2);
	*out = '\0';
	OPENSSL_cleanse(digest, sizeof(digest));
	return result;
}
