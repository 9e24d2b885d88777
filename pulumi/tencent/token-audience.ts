/** Whom the tokens of service accounts are for: STS, which gives a role for them. */
export const TOKEN_AUDIENCE = 'sts.cloud.tencent.com';
