// Written by vectors/make.py; run it again rather than edit this.
import Cryptography

extension DHVector {
    /// Key agreements with all values in full.
    static let published = [
        DHVector(
            group: .modp1024s160, source: "RFC 5114 appendix A",
            privateA: "b9a3b3ae8fefc1a2930496507086f8455d48943e",
            publicA: """
                2a853b3d92197501b9015b2deb3ed84f5e021dcc3e52f109d3273d2b7521281cbabe0e76ff5727fa8acce269\
                56ba9a1fca26f20228d8693feb10841d84a7360054ece5a7f5b7a61ad3dfb3c60d2e43106d8727da37df9cce\
                95b478755d06bcea8f9d45965f75a5f3d1df3701165fc9e50c4279ceb07f989540ae96d5d88ed776
                """,
            privateB: "9392c9f9eb6a7a6a9022f7d83e7223c6835bbdda",
            publicB: """
                717a6cb053371ff4a3b932941c1e5663f861a1d6ad34ae66576dfb98f6c6cbf9ddd5a56c7833f6bcfdff0955\
                82ad868e440e8d09fd769e3ceccdc3d3b1e4cfa057776caaf9739b6a9fee8e7411f8d6dac09d6a4edb46cc2b\
                5d5203090eae6126311e53fd2c14b574e6a3109a3da1be41bdceaa186f5ce06716a2b6a07b3c33fe
                """,
            shared: """
                5c804f454d30d9c4df85271f93528c91df6b48ab5f80b3b59caac1b28f8acba9cd3e39f3cb614525d9521d2e\
                644c53b807b810f340062f257d7d6fbfe8d5e8f072e9b6e9afda9413eafb2e8b0699b1fb5a0caceddeaead7e\
                9cfbb36ae2b420835bd83a19fb0b5e96bf8fa4d09e345525167ecd9155416f46f408ed31b63c6e6d
                """),
        DHVector(
            group: .modp2048s224, source: "RFC 5114 appendix A",
            privateA: "22e62601dbffd06708a680f747f361f76d8f4f721a0548e483294b0c",
            publicA: """
                1b3a63451bd886e699e67b494e288bd7f8e0d370badda7a0efd2fde7d8f66145cc9f280419975eb808877c8a\
                4c0c8e0bd48d4a5401eb1e8776bfeee134c03831ac273cd9d635ab0ce006a42a887e3f52fb8766b650f38078\
                bc8ee8580cefe243968cfc4f8dc3db084554171d41bf2e861b7bb4d69dd0e01ea387cbaa5ca672afcbe8bdb9\
                d62d4ce15f17dd36f91ed1eedd65ca4a06455cb94cd40a52ec360e84b3c926e22c4380a3bf309d56849768b7\
                f52cfdf655fd053a7ef706979e7e5806b17dfae53ad2a5bc568ebb529a7a61d68d256f8fc97c074a861d827e\
                2ebc8c6134553115b70e7103920aa16d85e52bcbab8d786a68178fa8ff7c2f5c71648d6f
                """,
            privateB: "4ff3bc96c7fc6a6d71d3b363800a7cdfef6fc41b4417ea15353b7590",
            publicB: """
                4dcee992a9762a13f2f83844ad3d77ee0e31c9718b3db6c2035d3961182c3e0ba247ec4182d760cd48d99599\
                970622a1881bba2dc822939c78c3912c6661fa5438b20766222b75e24c2e3ad0c7287236129525ee15b5dd79\
                98aa04c4a9696cacd7172083a97a81664ead2c479e444e4c0654cc19e28d7703cee8dacd6126f5d665ec52c6\
                7255db92014b037eb621a2ac8e365de071ffc1400acf077a12913dd8de89473437ab7ba346743c1b215dd9c1\
                2164a7e4053118d199bec8ef6fc561170c84c87d10ee9a674a1fa8ffe13bdfba1d44de48946d68dc0cdd7776\
                35a7ab5bfb1e4bb7b856f96827734c184138e915d9c3002ebce53120546a7e2002142b6c
                """,
            shared: """
                34d9bddc1b42176c313fea034c21034d074a6313bb4ecdb3703fff424567a46bdf75530ede0a9da5229de7d7\
                6732286cbc0f91da4c3c852fc099c679531d94c78ab03d9decb0a4e4ca8b2bb4591c4021cf8ce3a20a541d33\
                994017d0200ae2c9516e2ff5145779269e862b0fb474a2d56dc31ed569a7700b4c4ab16b22a45513531ef523\
                d71212077b5a169bdeffad7ad9608284c7795b6d5a5183b87066de17d8d671c9ebd8ec89544d45ec061593d4\
                42c62ab9ce3b1cb9943a1d23a5ea3bcf21a01471e67e003e7f8a69c728be490b2fc88cfeb92db6a215e5d03c\
                17c464c9ac1a46e203e13f952995fb03c69d3cc47fcb510b6998ffd3aa6de73cf9f63869
                """),
        DHVector(
            group: .modp2048s256, source: "RFC 5114 appendix A",
            privateA: "0881382cdb87660c6dc13e614938d5b9c8b2f248581cc5e31b35454397fce50e",
            publicA: """
                2e9380c8323af97545bc4941deb0ec3742c62fe0ece824a6abdbe66c59bee0242911bfb967235ceba35ae13e\
                4ec752be630b92dc4bde2847a9c62cb8152745421fb7eb60a63c0fe9159fcce726ce7cd8523d7450667ef840\
                e4919121eb5f01c8c9b0d3d648a93bfb75689e8244ac134af544711ce79a02dcc34226684780dddcb4985941\
                06c37f5bc79856487af5ab022a2e5e42f09897c1a85a11ea0212af04d9b4cebc937c3c1a3e15a8a0342e3376\
                15c84e7fe3b8b9b87fb1e73a15af12a30d746e06dfc34f290d797ce51aa13aa785bf6658aff5e4b093003cbe\
                af665b3c2e113a3a4e905269341dc0711426685f4ef37e868a8126ff3f2279b57ca67e29
                """,
            privateB: "7d62a7e3ef36de617b13d1afb82c780d83a23bd4ee6705645121f371f546a53d",
            publicB: """
                575f0351bd2b1b817448bdf87a6c362c1e289d3903a30b9832c5741fa250363e7acbc7f77f3dacbc1f131add\
                8e03367eff8fbbb3e1c5784424809b25afe4d2262a1a6fd2fab64105ca30a674e07f7809852088632fc04923\
                3791ad4edd083a978b883ee618bc5e0dd047415f2d95e683cf14826b5fbe10d3ce41c6c120c78ab20008c698\
                bf7f0bcab9d7f407bed0f43afb2970f57f8d12043963e66ddd320d599ad9936c8f44137c08b180ec5e985ceb\
                e186f3d549677e80607331ee17af3380a725b0782317d7dd43f59d7af9568a9bb63a84d365f92244ed120988\
                219302f42924c7ca90b89d24f71b0ab697823d7deb1aff5b0e8e4a45d49f7f53757e1913
                """,
            shared: """
                86c70bf8d0bb81bb01078a17219cb7d27203db2a19c877f1d1f19fd7d77ef22546a68f005ad52dc84553b78f\
                c60330be51ea7c0672cac1515e4b35c047b9a551b88f39dc26da14a09ef74774d47c762dd177f9ed5bc2f11e\
                52c879bd95098504cd9eecd8a8f9b3efbd1f008ac5853097d9d1837f2b18f77cd7be01af80a7c7b5ea3ca54c\
                c02d0c116fee3f95bb87399385875d7e86747e676e728938acbff7098e05be4dcfb24052b83aeffb14783f02\
                9adbde7f53fae92084224090e007cee94d4bf2bace9ffd4b57d2af7c724d0caa19bf0501f6f17b4aa10f425e\
                3ea76080b4b9d6b3cefea115b2ceb8789bb8a3b0ea87febe63b6c8f846ec6db0c26c5d7c
                """),
        DHVector(
            group: .ecp256, source: "RFC 5903 section 8",
            privateA: "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            publicA: """
                dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c45\
                6fa3e59ab1f45b33accf5f58389e0577b8990bb3
                """,
            privateB: "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
            publicB: """
                d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c\
                13c58d6aac23f046ada30f8353e74f33039872ab
                """,
            shared: "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
        DHVector(
            group: .ecp384, source: "RFC 5903 section 8",
            privateA: """
                099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896\
                783ab194
                """,
            publicA: """
                667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732ae\
                e95f41aa9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947da\
                e69b4c634573a81c
                """,
            privateB: """
                41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd5\
                5a7448fc
                """,
            publicB: """
                e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0\
                774a3571dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff\
                5eaad96db9e6386c
                """,
            shared: """
                11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a2\
                70f59746
                """),
        DHVector(
            group: .ecp521, source: "RFC 5903 section 8",
            privateA: """
                0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d9\
                37ba9777f5957b2639bab072462f68c27a57382d4a52
                """,
            publicA: """
                0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c\
                2d107564941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946146239d099e18e\
                1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582
                """,
            privateB: """
                0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a\
                3163e4c2f869cca7458aa4a4effc311f5cb151685eb9
                """,
            publicB: """
                00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352\
                f6be64a6c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623c27ce0eac2f551\
                a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a
                """,
            shared: """
                01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a347868\
                59810c06b3c715a3a8cc3151f2bee417996d19f3ddea
                """),
        DHVector(
            group: .curve25519, source: "RFC 7748 section 6.1",
            privateA: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            publicA: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            privateB: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            publicB: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            shared: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
        DHVector(
            group: .curve25519, source: "RFC 8031 appendix A",
            privateA: "751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94",
            publicA: "48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766",
            privateB: "0a54645253290d60ddadd0e030bacd9e5501efdc220755a1e978f1b839a05688",
            publicB: "0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25",
            shared: "c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950"),
    ]

    /// Key agreements of the safe primes; SHA-256 of the values, which are long.
    static let computed = [
        DHVector(
            group: .modp1024, source: "computed",
            privateA: "b415c953b623c989762fc374584c82363766dfec9d680002647712b4719a9e13",
            publicA: "e7a9992689fb9512d5204622015fcad5ca24342cd4077392ddda9558d814dc2d",
            privateB: "fe13d79406be0eb460894869b0f9b448dfda9e748b4ac696051d5906463d8391",
            publicB: "4f631200c86692e96df7b3fe8a7910dd4ac5d3d84c52a15a41d3b60dba1ad539",
            shared: "e75a950a434ee4121792d421d78c53fff8999b76d6b4d3a6fea8ea6588a348dc"),
        DHVector(
            group: .modp1536, source: "computed",
            privateA: "8667819eca7138e21d85000f2adbd9620794f725e0fbd41045085e5d394818db",
            publicA: "dc66a64aaee8a1fda98b6f3c8600351476b6444e9a9ffb9f312d69026f5fddba",
            privateB: "b3144f155e8d39477b3144ed80df87fa8062c02ea679685cc7f9610c9b3ece68",
            publicB: "af7103ceba650a2aed7d198ca19a00c1bb552b7d3d73542f279940ce08d61ec2",
            shared: "06d010077ac1e690a71bc3f8515fe2a75fae555438f0e9037ae115a14889a46a"),
        DHVector(
            group: .modp2048, source: "computed",
            privateA: "e43d53af3d5b1ac77158f362e43eda7a1d7177f078a0515c6010b73f276beabf",
            publicA: "d0b53158b66abc0651d7e089f8494f7dbd33353e5119665cd9808a4cda103abe",
            privateB: "47870589d8795570b4ec558db0728dc6d27c1f7fb63dfc972796593feaa20591",
            publicB: "4a59052cd4c0e5294e620fd418a474e85d9f1141ee091f99c8ea2ac85c69c24f",
            shared: "66ddb0597d6dad804c4a00a015772be026688ec5c6263c817b392751b4d61588"),
        DHVector(
            group: .modp3072, source: "computed",
            privateA: "2082f6084e5d77bd05d11292003cd579e00a72da408af457de89ce5051a312f8",
            publicA: "ce29170f9fb0fd90c4825d5e91cd91c90b5b6f0d45d19ceb3b8d6d127125c1ef",
            privateB: "42238e67186e9cf797dbf34e5f8d40f00f5924993af5aea0194a3bba2fbd4fea",
            publicB: "396ede934fe0f98ff19bb52c791d947b1d3636307d2e28173fc913f268f3e262",
            shared: "1d62fc4fce2d32af7d02088fbad5860bcee4cae30c38d9ef374096cac71235bd"),
        DHVector(
            group: .modp4096, source: "computed",
            privateA: "4b8dd6e7a0c3b1467e31e6f61caca201c6e4ce44e2c7d3361880a4123cf03cb7cf02273bdfedd0d4",
            publicA: "e7716911dfbe0490b6af6f0737fb16fb51eba8d8b5298d53f6662d96ef1c518d",
            privateB: "c3d992da2aa6b827fca2c55d117c194405f579db5ae2d5c173420603d6829c8032edbb2ee2df087d",
            publicB: "e12387759aed6ed91b06d5f92362731eb07b76b1734c76175dcc19a4a87839a8",
            shared: "2a20f6032301120875208955e51e49d5aecc1787ff80230849a8685b33a300bb"),
        DHVector(
            group: .modp6144, source: "computed",
            privateA: """
                507948b3f8943a71bd5f59521c8db9545fe3dd0fc800019875b377e3babc2c47ecc567d73d5d43acc9e54518\
                d0f76bf7
                """,
            publicA: "70e1db7d99cfbf900a739586f9cff4c98e573407444a0f653bd8bf0b532202ce",
            privateB: """
                f8f3738491a214df2bfe3c8711a173d5d0dbfc641cda89d479b69407f116bf48d004799a381bd39a690466f0\
                6dc8d07d
                """,
            publicB: "1af08c7f36d5d8b3912257c28d298e12a4c62f478083f64373f686263e11861c",
            shared: "c3cbe0317e467a74ea4eb047fb908309bcda4a6b1835ba979222c534a37e5d26"),
        DHVector(
            group: .modp8192, source: "computed",
            privateA: """
                2c294c19c704d35367538839f29f103b39b3976c4bcdd1856843d6fc78ae7f7973519fa23e97ea90bdf62851\
                eb87a03de64438c2a8f3d78e
                """,
            publicA: "a95e970cb511582839e837b39866142d535979ada048951ac8cdb5e730cd6685",
            privateB: """
                530a6a6eb1c5e9aee4930574938b4123aecce4c77b080b3cb9e07c1b60657e55b014ff19c6c1a8b56be9827d\
                c16b105708df071dd2a6690a
                """,
            publicB: "d20327ac65b3f034b14ee3be90da3b3ce6880dfe6698aae45ccfdf2a6f59ab43",
            shared: "37af0e356c9c0cdfed3ec1cd573efffc8080002e524a6bcf6a750dd7619211b5"),
    ]

    /// Public value of A and shared secret with a leading zero byte.
    static let padded = [
        DHVector(
            group: .modp1024, source: "computed",
            privateA: "499b1ddec7bfbe70bffb09bd215190512656ded672c06ee405a0d2e99a9ba94e",
            publicA: """
                0044ec35ce0cad90678ba707bd44f374b6413337a838d6d805a0b694f0a4521d566a09a61f73194aa4a3f9e7\
                b84e7d69de52d4abcefd7862d6b80d684078b63187f3165b1e978930733cac5ad10bd5861b8b0efd1ac465cd\
                1fa13c72fe6077f983225b2de429476deaffd0764a17d0314ddb5f946449e4d051420f9b805eb1ee
                """,
            privateB: "b658ba2fc2b3ff7a59bceddf74101f411d50d6e5956000ecac41bc2dde43b9fd",
            publicB: """
                9ac56e6c3533947c7afc39fec0678b8af4687d348bf874e79e61d668569199a21298a38a844fa06f474ebb8e\
                706e4566b20db66f6bb7f11874cc10719e17e4fda0439ce38d5ccf16c7de80be5a9a7e766fb5512ef7f707c7\
                535b13df195b9f65396caa89ba2ca7a7670c36957578c75527151f89e56ffbb2dc583e9cb7e7325b
                """,
            shared: """
                001fe3bfe01decfa65d218e37960c888052afe10755e17ff0ff275229d5e288baa96c3af4624ca2a5bdd612b\
                6cb4c2e516d90f5b09136f88a159f9ae13a7f87025e708c95b26985d773ade44bf7bbd4522e67ae713dcb9ec\
                ff83fdddb04ff8256cf1adc5e87fc5a1406cc3adb54f6773d5c883ba0449a4da4abf3235714914c3
                """),
        DHVector(
            group: .ecp256, source: "computed",
            privateA: "0058c8064c1691406d607175701ae7e4a9b098f7ed3265ee2f0e1b4920834a65",
            publicA: """
                004c243bc1ec788482b5fec0806814717c5e4105a4db04ed3def4f3a9c558ec242e5ef879f0afe7d14190c7b\
                6d599ef6a2ab2ce21d8a9445f254370cebc6a64e
                """,
            privateB: "00c9badc5024f954a92b0a0ba64f67539bdc917a664f159725412bae1fa4f8db",
            publicB: """
                1d4d4d0fa2afd9612fb1dfd5fb2f955bba86095fe576db5e28172400cec88c5eac70612937728d442295dcda\
                a0667bdad6d00404255fd1803919ade2d1f44a32
                """,
            shared: "00d4dbbaa7e0acc373149cd07cf8f6c3202ac31716a42cbcc7aade2d69cc074d"),
    ]
}
