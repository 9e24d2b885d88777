/** 36 of 'v1.36.3' and 'v1.36.3-eks-1234'; undefined for what reads otherwise. */
export function minorOf(version: string): number | undefined {
  const minor = /^v?1\.(\d{1,3})(?!\d)/.exec(version)?.[1];
  return minor === undefined ? undefined : Number(minor);
}
