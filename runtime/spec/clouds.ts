/** Clouds that the components and the catalogue of machines know. */
export const CLOUDS = ['aws', 'gcp', 'azure', 'alibaba', 'tencent'] as const;
export type Cloud = (typeof CLOUDS)[number];

/** As their makers write them. */
export const CLOUD_NAMES = {
  aws: 'AWS',
  gcp: 'Google Cloud',
  azure: 'Azure',
  alibaba: 'Alibaba Cloud',
  tencent: 'Tencent Cloud',
} as const satisfies Record<Cloud, string>;
