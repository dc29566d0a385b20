"""URI schemes that belong to everybody: no client can call one its own.

Pure data: names of IANA's registry of URI schemes (RFC 7595; permanent, historical and provisional ones, but for those of single editors,
which operators list in CLIENT_REDIRECT_SCHEMES), and what browsers use inside. Those that run, read or send something by themselves are
among them.
"""

PUBLIC = frozenset(
    """
    aaa aaas about acap acct acd acr adiumxtra adt afp afs aim amss android appdata apt ar ark at attachment aw barion bb beshare
    bitcoin bitcoincash blob bolo brid browserext cabal calculator callto cap cast casts chrome chrome-extension chrome-untrusted
    cid coap coap+tcp coap+ws coaps coaps+tcp coaps+ws com-eventbrite-attendee content content-type crid crossrender cstr cvs dab
    dat data dav dhttp diaspora dict did dis dlna-playcontainer dlna-playsingle dns dntp doi dpp drm drop dtmi dtn dvb dvx dweb ed2k
    edge eid elsi embedded ens ethereum example facetime fax feed feedready fido file filesystem finger first-run-pen-experience
    fish fm ftp ftps fuchsia-pkg geo gg git gitoid gizmoproject go gopher graph grd gtalk h323 ham hcap hcp http https hxxp hxxps
    hydrazone hyper iax icap icon im imap info intent iotdisco ipfs ipn ipns ipp ipps irc irc6 ircs iris iris.beep iris.lwz iris.xpc
    iris.xpcs isostore itms jabber jar javascript jms keyparc lastfm lbry ldap ldaps leaptofrogans lid linkid lorawan lpa lvlt
    machineprovisioningprogressreporter magnet mailserver mailto maps market matrix message microsoft-edge microsoft.windows.camera
    mid mms modem mongodb mongodb+srv moz moz-extension mqtt mqtts msnim msrp msrps mss mt mtqp mtrust mumble mupdate mvn mysql news
    nfs ni nih nntp notes num ocf oid onenote onenote-cmd opaquelocktoken openid openpgp4fpr otpauth p1 pack palm paparazzi payment
    payto pkcs11 platform pop postgres postgresql pres prospero proxy psyc pttp pwid qb query quic-transport redis rediss reload res
    resource rmi rsync rtmfp rtmp rtsp rtsps rtspu sarif secondlife secret-token service session sftp sgn shc shttp sieve
    simpleledger simplex sip sips skype smb smp sms smtp snews snmp soap.beep soap.beeps soldat spiffe spotify ssb ssh starknet
    steam stun stuns submit svn swh swid swidpath tag taler teamspeak teamtalk tel teliaeid telnet tftp things thismessage thzp tip
    tn3270 tool turn turns tv udp unreal upt urn ut2004 uuid-in-package v-event vbscript vemmi ventrilo ves videotex view-source vnc
    w3 wais wasm wasm-js wcr web+ap web3 webcal wifi wpid ws wss wtai wyciwyg xcon xcon-userid xfire xftp xmlrpc.beep xmlrpc.beeps
    xmpp xrcp xri ymsgr z39.50 z39.50r z39.50s
    """.split()  # noqa: SIM905  (a list that a person reads and extends)
)
