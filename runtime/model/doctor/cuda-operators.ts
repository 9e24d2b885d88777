import type { OperatorUse } from '../../spec/model-facts';

/**
 * Operators with a CUDA kernel, from the CUDAExecutionProvider section of onnxruntime's docs/OperatorKernels.md at commit
 * 001d12d2623fd411ce0f83d05abb5e82304a3389. By name alone: a kernel may lack an element type. Read off, not run on a GPU.
 */
const KERNELS: Readonly<Record<string, ReadonlySet<string>>> = {
  '': words(`
  Abs Add Affine And ArgMax ArgMin Attention AveragePool BatchNormalization Cast Ceil Clip Compress Concat
  ConcatFromSequence ConstantOfShape Conv ConvTranspose Cos Crop CumSum DepthToSpace DequantizeLinear Div Dropout
  DynamicSlice Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
  GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish Identity If ImageScaler
  InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
  MatMul MatMulInteger Max MaxPool Min Mod Mul Neg NonZero Not OneHot Or PRelu Pad ParametricSoftplus Pow
  QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
  Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
  ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round ScaledTanh Scan Scatter
  ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
  SequenceLength Shape Shrink Sigmoid Sign SimplifiedLayerNormalization Sin Size Slice Softmax Softplus Softsign
  SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze
  Upsample Where Xor
  `),
  'com.microsoft': words(`
  Attention BeamSearch BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu BitmaskBiasDropout BitmaskDropout
  ComplexMul ComplexMulConj ConvTransposeWithDynamicPads DecoderAttention DecoderMaskedMultiHeadAttention
  DecoderMaskedSelfAttention DequantizeLinear DequantizeWithOrder DynamicTimeWarping EmbedLayerNormalization
  FastGelu FusedConv FusedMatMul GatedRelativePositionBias GatherBlockQuantized Gelu GemmFloat8
  GemmaRotaryEmbedding GreedySearch GridSample GroupNorm GroupQueryAttention Inverse Irfft LongformerAttention
  MatMulBnb4 MatMulNBits MoE MultiHeadAttention NGramRepeatBlock NhwcConv PackedAttention PackedMultiHeadAttention
  PagedAttention QAttention QMoE QOrderedAttention QOrderedGelu QOrderedLayerNormalization
  QOrderedLongformerAttention QOrderedMatMul QuantizeLinear QuantizeWithOrder QuickGelu RelativePositionBias
  RemovePadding RestorePadding Rfft RotaryEmbedding Sampling SkipGroupNorm SkipLayerNormalization
  SkipSimplifiedLayerNormalization SparseAttention TransposeMatMul Trilu UnfoldTensor WhisperBeamSearch
  `),
};

/**
 * Without a kernel anywhere, so onnxruntime puts their definition in terms of other operators in their place; and
 * constants, which become initializers.
 */
const REPLACED: ReadonlySet<string> = words('CastLike Constant GroupNormalization SequenceMap');

/** Whether a node of this operator can run on the GPU. */
export function hasCudaKernel({ domain, operator }: Pick<OperatorUse, 'domain' | 'operator'>): boolean {
  const kernels = Object.hasOwn(KERNELS, domain) ? KERNELS[domain] : undefined;
  return kernels?.has(operator) === true || (domain === '' && REPLACED.has(operator));
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
