/* No password is ever right: this doas knows `nopass` rules only, and musl as Debian builds it has no crypt(). */
char *crypt(const char *phrase, const char *setting)
{
	(void)phrase;
	(void)setting;
	return 0;
}
